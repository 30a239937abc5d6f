#include "crypto/secrets.hpp"

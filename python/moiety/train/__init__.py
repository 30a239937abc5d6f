"""How models are trained, as functions over modules and data; `moiety train` and its like call them."""

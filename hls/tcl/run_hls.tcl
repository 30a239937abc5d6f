# The same steps as a script, for `vitis-run --mode hls --tcl run_hls.tcl`, with the settings in the environment:
#     MOIETY_KERNEL, MOIETY_TARGET (csim, csynth, cosim, impl), MOIETY_VECTORS, MOIETY_PART, MOIETY_WORK

proc setting {name fallback} {
    if {[info exists ::env($name)]} { return $::env($name) }
    if {$fallback eq ""} { error "set $name in the environment" }
    return $fallback
}

set hls     [file normalize [file join [file dirname [info script]] ..]]
set kernel  [setting MOIETY_KERNEL ""]
set target  [setting MOIETY_TARGET csim]
set vectors [file normalize [setting MOIETY_VECTORS [file join $hls .. build hls vectors]]]
set part    [setting MOIETY_PART xczu7ev-ffvc1156-2-e]
set work    [file normalize [setting MOIETY_WORK [file join $hls .. build hls vitis]]]
set argv    [file join $vectors $kernel.vec]

if {[lsearch -exact {csim csynth cosim impl} $target] < 0} {
    error "MOIETY_TARGET is $target: expected csim, csynth, cosim or impl"
}
if {![file exists $argv]} {
    error "there are no vectors at $argv: write them with `moiety hls vectors --out $vectors`"
}

file mkdir $work
cd $work
open_component -reset $kernel -flow_target vivado
add_files [file join $hls src $kernel.cpp] -cflags "-std=c++17 -I[file join $hls include]"
add_files -tb [file join $hls tb tb_$kernel.cpp] -cflags "-std=c++17 -I[file join $hls include] -I[file join $hls tb]"
set_top $kernel
set_part $part
create_clock -period 200MHz -name default
set_clock_uncertainty 27%

if {$target eq "csim"} {
    csim_design -argv $argv
} else {
    csynth_design
    if {$target eq "cosim"} { cosim_design -argv $argv -rtl verilog }
    if {$target eq "impl"} { export_design -flow impl -rtl verilog }
}
close_component

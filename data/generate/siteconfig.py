"""Build settings of GPAW 26.7.0 for a machine with the apt packages of the README."""

mpi = False
fftw = True
scalapack = False
elpa = False
compiler = "g++"
libraries = ["xc", "openblas", "fftw3"]
extra_compile_args = ["-O3", "-march=native", "-std=c++17", "-fpermissive", "-w"]

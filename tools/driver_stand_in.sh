# A stand-in for the CUDA driver's library, which has its names and says that there is no GPU.
set -e
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p driver
find $packages/legate $packages/cupynumeric -name '*.so*' -type f -exec strings -n 4 {} + |
    grep -oE '^cu[A-Z][A-Za-z0-9_]*$' | grep -vE '^cuFile|^cuGetProcAddress' | sort -u |
    sed 's/.*/int &(void) { return 100; }/' > driver/stand_in.c  # 100: CUDA_ERROR_NO_DEVICE
gcc -shared -fPIC -Wl,-soname,libcuda.so.1 -o driver/libcuda.so.1 driver/stand_in.c

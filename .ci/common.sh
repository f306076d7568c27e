# What .ci/run and .ci/long share. Sourced from the root of the repository.

step() { printf '\n=== %s [%dm%02ds]\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# need_package COMMAND DEBIAN-PACKAGE: installs it if it is missing and we may.
need_package() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" != 0 ]; then
    echo "$1 is missing: apt-get install $2" >&2
    return 1
  fi
  install_packages "$2"
}

install_packages() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Fashion-MNIST from Debian's package; elsewhere the tests that want it skip with a reason.
need_data_set() {
  [ -d /usr/share/datasets/fashion-mnist ] && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    step "Install Debian's Fashion-MNIST"
    install_packages dataset-fashion-mnist
  fi
}

# The installed package, without the CUDA module, is at most 8 MB.
package_size() {
  python - <<'PYTHON'
import os
import densa

folder = os.path.dirname(densa.__file__)
paths = (os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)
size = sum(os.path.getsize(path) for path in paths if "_cuda" not in path and ".pyc" not in path)
print(f"installed package: {size / 1e6:.2f} MB")
if size > 8e6:
    raise SystemExit("the installed package is larger than 8 MB")
PYTHON
}

clang_format_check() {
  git ls-files -z -- 'csrc/*.h' 'csrc/*.hpp' 'csrc/*.cpp' 'csrc/*.cu' 'tests/native/*.h' \
    'tests/native/*.cpp' 'tests/fuzz/*.cpp' 'examples/*.c' 'examples/*.cpp' |
    xargs -0 --no-run-if-empty clang-format --dry-run -Werror
}

# clang_tidy_check FOLDER [FILES...]: lints the C++ files, all if none are named, on every core. FOLDER
# gets the compile commands, those of the machine's best CPU level; nothing is built.
clang_tidy_check() {
  local folder=$1
  shift
  [ $# -gt 0 ] || set -- 'csrc/*.cpp' 'tests/native/*.cpp'
  cmake -S . -B "$folder" -G Ninja -DPython_EXECUTABLE="$(command -v python)" \
    -DDENSA_NATIVE_TESTS=ON -DDENSA_ISAS="$(best_level)" >/dev/null
  # It counts the warnings of system headers on stderr, for every file.
  git ls-files -z -- "$@" |
    xargs -0 --no-run-if-empty -n 1 -P "$(nproc)" \
      clang-tidy-14 -p "$folder" --quiet --warnings-as-errors='*' \
      2> >(grep -v 'warnings\? generated' >&2)
}

# The emulated GPU, from the same sources as the real one; sets DENSA_CUDA_EMULATED.
emulated_gpu() {
  cmake -S . -B build/emulated -G Ninja -DDENSA_CUDA=OFF -DDENSA_CUDA_EMULATION=ON >/dev/null
  cmake --build build/emulated --target _cuda_emulated -- --quiet
  DENSA_CUDA_EMULATED=$(ls "$PWD"/build/emulated/_cuda_emulated*.so)
  export DENSA_CUDA_EMULATED
}

# run_tests ARGUMENTS...: pytest with a worker for each core.
export PYTEST_XDIST_AUTO_NUM_WORKERS="${PYTEST_XDIST_AUTO_NUM_WORKERS:-$(nproc)}"
run_tests() { pytest -q -n auto --dist worksteal "$@"; }

# on_gpu ARGUMENTS...: pytest with every new tensor and variable on the GPU.
on_gpu() { DENSA_TEST_DEVICE=cuda run_tests "$@"; }

# native_tests FOLDER CMAKE-ARGUMENTS...: configures, builds and runs tests/native.
native_tests() {
  local folder=$1
  shift
  cmake -S . -B "$folder" -G Ninja -DDENSA_PYTHON=OFF -DDENSA_NATIVE_TESTS=ON "$@" >/dev/null
  cmake --build "$folder" --target native_tests -- --quiet
  UBSAN_OPTIONS=print_stacktrace=1 \
    ctest --test-dir "$folder" --parallel "$(nproc)" --output-on-failure --no-tests=error
}

# need_fuzzer: clang, with libFuzzer.
need_fuzzer() {
  need_package clang++-14 clang-14
  [ -e "$(clang-14 --print-file-name=libclang_rt.fuzzer-$(uname -m).a)" ] ||
    install_packages libclang-rt-14-dev
}

# What a build needs that `fuzz` runs; kernels of the machine's best CPU level alone.
fuzzed() {
  echo -DDENSA_FUZZ=ON -DDENSA_SANITIZE=address,undefined -DDENSA_ISAS="$(best_level)" \
    -DCMAKE_CXX_COMPILER=clang++-14
}

# fuzz FOLDER SECONDS: the reader of predictors' files, from the corpus in git, under sanitizers.
# FOLDER is configured as `fuzzed` says.
fuzz() {
  cmake --build "$1" --target fuzz_net_file -- --quiet
  mkdir -p "$1/corpus"
  "$1/fuzz_net_file" -max_total_time="$2" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
    -dict=tests/fuzz/net_file.dict -print_final_stats=1 -verbosity=0 "$1/corpus" tests/fuzz/corpus
}

# The CPU levels that this machine has, the best one last.
cpu_levels() {
  case "$(uname -m)" in
    x86_64 | amd64) ;;
    *) echo baseline && return ;;
  esac
  local levels=(v2)
  grep -qw avx2 /proc/cpuinfo && levels+=(v3)
  grep -qw avx512vl /proc/cpuinfo && levels+=(v4)
  grep -qw avx512_bf16 /proc/cpuinfo && grep -qw avx512_vnni /proc/cpuinfo && levels+=(v4x)
  echo "${levels[@]}"
}

best_level() { cpu_levels | awk '{print $NF}'; }

# All but the best, which every other test runs on.
other_levels() { cpu_levels | awk '{$NF = ""; print}'; }

# readme_command NAME: the shell command between the marks <!-- NAME:begin --> and <!-- NAME:end -->.
readme_command() {
  local command
  command=$(sed -n "/^<!-- $1:begin -->/,/^<!-- $1:end -->/{/^<!--/d;/^\`\`\`/d;p}" README.md)
  if [ -z "$command" ]; then
    echo "README.md has no command $1" >&2
    return 1
  fi
  echo "$command"
}

# The main job as the README gives it, then what a terminal, a plot and a saved model add to it.
readme_commands() {
  local folder
  bash -c "$(readme_command train)"
  rm model.densa
  folder=$(mktemp -d)
  (
    cd "$folder"
    if [ -d /usr/share/datasets/fashion-mnist ]; then
      densa train fashion-mnist --epochs 1 --plot curves.png --output fashion.densa
    else
      densa train digits --epochs 1 --plot curves.png --output fashion.densa
    fi
    python -c "open('curves.png', 'rb').read(8) == b'\x89PNG\r\n\x1a\n' or exit('no PNG')"
  )
  rm -r "$folder"
}

# Installs what a verb of ./run needs, once, and says so. Sourced by ./run; needs `say` and `root`.

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"

have_package() { [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }
# Without a pipe: under pipefail, grep's early end would be taken for apt-cache's failure.
has_candidate() { [[ $(apt-cache policy "$1" 2>/dev/null) == *'Candidate: '[!\(]* ]]; }

apt_get() {
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq "$@" </dev/null
}

# first_package TEST NAME|ALTERNATIVE|…: prints the first name that passes the test.
first_package() {
  local name
  for name in ${2//|/ }; do
    if "$1" "$name"; then echo "$name"; return 0; fi
  done
  return 1
}

# need_packages NAME|ALTERNATIVE|… …: of each group the first one that is installed or can be.
need_packages() {
  local group name missing=() install=() log=$root/build/apt.log
  for group in "$@"; do first_package have_package "$group" >/dev/null || missing+=("$group"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "apt-get install ${missing[*]}"
  for group in "${missing[@]}"; do
    name=$(first_package has_candidate "$group") ||
      { apt_get update && name=$(first_package has_candidate "$group"); } ||
      { say "No package provides $group. Install it by hand and try again."; return 1; }
    install+=("$name")
  done
  apt_get install -y --no-install-recommends "${install[@]}" >"$log" 2>&1 && return 0
  # Package lists that have aged name files that are gone.
  apt_get update && apt_get install -y --no-install-recommends "${install[@]}" >"$log" 2>&1 && return 0
  tail -n 20 "$log"
  return 1
}

# Sets clang (19 or newer) and clang_version.
find_clang() {
  local version
  for version in 19 20 21 22; do
    command -v "clang++-$version" >/dev/null || continue
    clang="clang++-$version"
    clang_version=$version
    return 0
  done
  version=$(clang++ -dumpversion 2>/dev/null | cut -d. -f1)
  [ "${version:-0}" -ge 19 ] || return 1
  clang=clang++
  clang_version=$version
}

need_compiler() {
  mkdir -p "$root/build"
  find_clang || need_packages 'clang-19|clang-20|clang-21'
  find_clang || { say "clang 19 or newer is needed and apt has none."; return 1; }
  need_packages "lld-$clang_version|lld" "libclang-rt-$clang_version-dev" "llvm-$clang_version|llvm" \
    g++ ccache cmake ninja-build python3 git libgtest-dev libbenchmark-dev $libraries
}

# What the program is linked with.
libraries='libssl-dev zlib1g-dev libyaml-cpp-dev libexpat1-dev libfmt-dev
  libboost1.81-dev|libboost-dev libboost-json1.81-dev|libboost-json-dev
  libboost-url1.81-dev|libboost-url-dev libboost-container1.81-dev|libboost-container-dev'

# The same libraries of the same system for ARM64, unpacked into build/arm64-libraries. Nothing of it is
# installed or run on this machine.
need_arm64_libraries() {
  local folder=$root/build/arm64-libraries group packages system components=main
  [ -f "$folder.complete" ] && return 0
  need_packages mmdebstrap || return 1
  system=$(. /etc/os-release && echo "$ID $VERSION_CODENAME")
  case $system in
    debian*) ;;
    ubuntu*) components=main,universe ;;
    *) say "Where $system keeps its packages for ARM64 is not known; build on such a machine."; return 1 ;;
  esac
  packages=libstdc++-$(g++ -dumpversion | cut -d. -f1)-dev
  for group in $libraries; do packages+=,$(first_package have_package "$group"); done
  say "fetching the libraries for ARM64 (build/arm64-libraries)"
  rm -rf "$folder"
  mmdebstrap --variant=extract --architectures=arm64 --components=$components --include="$packages" \
    "${system#* }" "$folder" >"$root/build/arm64-libraries.log" 2>&1 ||
    { tail -n 5 "$root/build/arm64-libraries.log"; return 1; }
  touch "$folder.complete"
}

# configure PRESET: once, and again when another compiler is found.
configure() {
  if [ -f "build/$1/build.ninja" ] && grep -q "CMAKE_CXX_COMPILER:.*/$clang\$" "build/$1/CMakeCache.txt"; then
    return 0
  fi
  cmake --preset "$1" -DCMAKE_CXX_COMPILER="$(command -v "$clang")" >"build/configure-$1.log" 2>&1 ||
    { tail -n 30 "build/configure-$1.log"; return 1; }
}

# npm_install FOLDER SOURCE: the packages that SOURCE/package.json pins, into build/FOLDER.
npm_install() {
  local target="$root/build/$1" source="$root/$2" wanted
  wanted=$(cat "$source/package.json" "$source/package-lock.json" | cksum)
  [ "$(cat "$target/.installed" 2>/dev/null)" = "$wanted" ] && return 0
  command -v npm >/dev/null || need_packages nodejs npm || return 1
  say "npm ci ($2)"
  mkdir -p "$target"
  cp "$source/package.json" "$source/package-lock.json" "$target/"
  local options=(--ignore-scripts --no-audit --no-fund --no-progress --loglevel=error)
  (cd "$target" && { npm ci "${options[@]}" || npm install --no-save "${options[@]}"; }) \
    >"$target/npm.log" 2>&1 || { tail -n 20 "$target/npm.log"; return 1; }
  echo "$wanted" >"$target/.installed"
}

# The tests' npm packages, and Node 22 first on PATH (one of the packages, unless the machine's own will do).
need_npm() {
  mkdir -p "$root/build"
  npm_install npm test/npm || return 1
  ln -sfn ../build/npm/node_modules "$root/test/node_modules"
  local own
  own=$(echo "$root"/build/npm/node_modules/node-linux-*/bin)
  if [ -x "$own/node" ]; then PATH="$own:$PATH"; fi
  [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ] ||
    { say "Node 20 or newer is needed, and neither this machine nor npm has it."; return 1; }
}

# What the tests against an emulated AWS need: moto and cfn-lint in the python3 of PATH, or else by pip in
# build/venv, whose python3 then is first on PATH; a registry, a load balancer and namespaces by apt.
aws_tools='moto[server,all]==5.2.1 cfn-lint>=1.51 boto3>=1.43'
need_aws_tools() {
  local venv=$root/build/venv
  if ! python3 -c 'import moto, cfnlint, boto3, cryptography' 2>/dev/null; then
    if [ ! -x "$venv/bin/moto_server" ]; then
      say "pip install $aws_tools (build/venv)"
      need_packages python3-venv || return 1
      # shellcheck disable=SC2086
      { python3 -m venv "$venv" && "$venv/bin/pip" install -q $aws_tools; } >"$root/build/venv.log" 2>&1 ||
        { tail -n 5 "$root/build/venv.log"; return 1; }
    fi
    PATH="$venv/bin:$PATH"
  fi
  need_packages docker-registry haproxy util-linux
}

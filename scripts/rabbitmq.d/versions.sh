# Which versions there are, where each is, and how one of Debian's is installed. A part of scripts/rabbitmq.
#
# A version below $base is complete when it has the file .ready; without it, it is made anew.

suite_of() {
  case "$1" in
    3.10) echo bookworm ;;
    4.0) echo trixie ;;
    4.3) echo forky ;;
    installed) echo installed ;;
    *) misused "there is no version $1; there are 3.10, 4.0, 4.3 and installed" ;;
  esac
}

version_of() {
  case "$1" in
    bookworm) echo 3.10 ;;
    trixie) echo 4.0 ;;
    forky) echo 4.3 ;;
    *) echo "$1" ;;
  esac
}

# The folder of RabbitMQ's own scripts. Debian's wrapper in the PATH is for the system's broker.
installed_scripts() {
  local wrapper
  if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    echo /usr/lib/rabbitmq/bin
  elif wrapper="$(PATH="$PATH:/usr/sbin" command -v rabbitmq-server)"; then
    dirname "$(readlink -f "$wrapper")"
  else
    return 1
  fi
}

# What a folder of RabbitMQ's scripts belongs to: 4.0.5.
release_of() {
  local home
  home="$(readlink -f "$1/rabbitmqctl")"
  home="$(basename "$(dirname "$(dirname "$home")")")"
  echo "${home#rabbitmq_server-}"
}

release_in() {
  local home
  for home in "$base/$1"/usr/lib/rabbitmq/lib/rabbitmq_server-*; do
    [ -d "$home" ] && echo "${home##*/rabbitmq_server-}"
  done
  return 0
}

ready() {
  if [ "$1" = installed ]; then
    installed_scripts > /dev/null
  else
    [ -e "$base/$1/.ready" ]
  fi
}

versions() {
  local version suite scripts
  for version in 3.10 4.0 4.3; do
    suite="$(suite_of "$version")"
    if ready "$suite"; then
      printf '%-10s %s\n' "$version" "$(release_in "$suite")"
    else
      printf '%-10s %s\n' "$version" "not there: scripts/rabbitmq install $version, as root"
    fi
  done
  if scripts="$(installed_scripts)"; then
    printf '%-10s %s\n' installed "$(release_of "$scripts")"
  else
    printf '%-10s %s\n' installed "not there: install Debian's rabbitmq-server"
  fi
}

# The mirror that this machine's own apt uses; without one, debootstrap knows.
mirror() {
  cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2> /dev/null \
    | awk 'found { next }
        /^URIs:/ { found = $2 }
        /^deb / { for (i = 2; i <= NF && !found; i++) if ($i ~ /^[a-z]+:/) found = $i }
        END { print found }' || true
}

install_suite() {
  local suite="$1" root="$base/$1" version script
  version="$(version_of "$suite")"
  [ "$suite" != installed ] || fail "install Debian's rabbitmq-server for that"
  [ "$(id -u)" -eq 0 ] || fail "RabbitMQ $version is installed by debootstrap and runs in a chroot: be root, or use \"installed\""
  if ! command -v debootstrap > /dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap > /dev/null \
      || fail "debootstrap is missing, and apt-get could not install it"
  fi
  # Suites younger than the installed debootstrap are made as sid is.
  script="/usr/share/debootstrap/scripts/$suite"
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  echo "rabbitmq: installing $version from Debian's $suite, once" >&2
  rm -rf --one-file-system "$root"
  debootstrap --variant=minbase --include=rabbitmq-server "$suite" "$root" "$(mirror)" "$script" \
    > "$base/$suite.log" 2>&1 < /dev/null 8>&- \
    || { tail -n 5 "$base/$suite.log" >&2; fail "debootstrap could not install RabbitMQ $version; see $base/$suite.log"; }
  case "$(release_in "$suite")" in
    "$version".*) touch "$root/.ready" ;;
    *) fail "Debian's $suite brings RabbitMQ $(release_in "$suite") now, and no longer $version" ;;
  esac
}

ensure_installed() {
  local suite="$1"
  ready "$suite" && return
  [ "$suite" != installed ] || fail "rabbitmq-server is not installed on this machine"
  mkdir -p "$base"
  (
    flock 8
    ready "$suite" || install_suite "$suite"
  ) 8> "$base/$suite.lock"
}

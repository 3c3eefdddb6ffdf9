# Process groups, each known by the files NAME.pid and NAME.born in $base. A part of scripts/rabbitmq.
#
# NAME is a port, PORT.watcher, or epmd-PORT. A group is only ever signalled when its leader began when its file says.

# The moment a process began, which tells it from a later one of the same number; nothing when it is gone or a zombie.
born() {
  local stat
  { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 0
  read -r -a stat <<< "${stat##*) }"
  [ "${stat[0]}" = Z ] || echo "${stat[19]}"
}

# Is anybody of this process group there? Zombies do not count: not every container has an init that takes them away.
peopled() {
  { cat /proc/[0-9]*/stat 2> /dev/null || true; } \
    | awk -v group="$1" '{ sub(/^.*\) /, ""); if ($3 == group && $1 != "Z") n++ } END { exit n == 0 }'
}

# NAME is what the files are called by: a port, or epmd-PORT.
alive() {
  local pid now
  pid="$(cat "$base/$1.pid" 2> /dev/null)" && [ -n "$pid" ] || return 1
  now="$(born "$pid")"
  if [ -n "$now" ] && [ -e "$base/$1.born" ] && [ "$now" != "$(cat "$base/$1.born")" ]; then return 1; fi
  peopled "$pid"
}

# A twentieth of a second, without a process: reads from a pipe that nobody writes to.
pause() {
  [ -n "${silence:-}" ] || { exec 7<> <(:) && silence=7; }
  read -r -t 0.05 -u 7 || true
}

# NAME VERB… runs this script in a process group of its own, with nothing of the caller's held open.
spawn() {
  local name="$1"
  shift
  # Emptied here and now: whoever waits for a line must not find that of the last time.
  : > "$base/$name.log"
  setsid "$self" "$@" < /dev/null > "$base/$name.log" 2>&1 7>&- 8>&- 9>&- &
  local pid=$!
  disown
  echo "$pid" > "$base/$name.pid"
  born "$pid" > "$base/$name.born"
}

# SIGNAL NAME: returns when the group is gone.
end() {
  local signal="$1" name="$2" pid deadline=$((SECONDS + STOP_SECONDS))
  alive "$name" || return 0
  pid="$(cat "$base/$name.pid")"
  kill "-$signal" -- "-$pid" 2> /dev/null || true
  while peopled "$pid"; do
    if [ $SECONDS -ge $deadline ]; then
      kill -KILL -- "-$pid" 2> /dev/null || true
      deadline=$((SECONDS + STOP_SECONDS))
    fi
    pause
  done
}

locked() {
  mkdir -p "$base"
  exec 9> "$base/ports.lock"
  flock 9
}

unlocked() {
  exec 9>&-
}

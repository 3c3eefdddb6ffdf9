# A node: the port it has claimed, its data, its epmd, and how it is started. A part of scripts/rabbitmq.
#
# PORT.suite in $base is the claim, written first and deleted last; claims are made and epmds ended under one lock.

known() {
  [[ "$1" =~ ^[0-9]+$ ]] || misused "a port is a number: $1"
  [ -e "$base/$1.suite" ] || fail "no broker has been started on port $1"
}

checked_port() {
  [[ "$1" =~ ^[0-9]+$ ]] && [ "$1" -ge 1024 ] && [ "$1" -le 12767 ] || misused "a port is from 1024 to 12767: $1"
}

epmd_port() {
  if [ -e "$base/$1.epmd" ]; then cat "$base/$1.epmd"; else echo $(($1 + EPMD_OFFSET)); fi
}

# Where a node's data is, and where it sees it itself.
data_of() {
  local suite
  suite="$(cat "$base/$1.suite")"
  if [ "$suite" != installed ]; then
    echo "$base/$suite/data/$1"
  else
    cat "$base/$1.data"
  fi
}

# PORT PROGRAM ARGS… becomes that program of RabbitMQ, or epmd, in the node's world: its chroot and nothing but its own settings.
enter() {
  local port="$1" program="$2" suite data bin path
  shift 2
  suite="$(cat "$base/$port.suite")"
  if [ "$suite" = installed ]; then
    data="$(data_of "$port")"
    bin="$(installed_scripts)"
    path="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
  else
    data="/data/$port"
    bin=/usr/lib/rabbitmq/bin
    path=/usr/sbin:/usr/bin:/sbin:/bin
  fi
  [ "$program" = epmd ] || program="$bin/$program"
  local command=(
    env -i "PATH=$path" "HOME=$data" LC_ALL=C.UTF-8
    "RABBITMQ_NODENAME=r$port@localhost" "RABBITMQ_NODE_PORT=$port" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
    "RABBITMQ_DIST_PORT=$((port + DISTRIBUTION_OFFSET))"
    "ERL_EPMD_PORT=$(epmd_port "$port")" ERL_EPMD_ADDRESS=127.0.0.1
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"
    "RABBITMQ_CTL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
    RABBITMQ_CTL_DIST_PORT_MIN=0 RABBITMQ_CTL_DIST_PORT_MAX=0
    "RABBITMQ_CONF_ENV_FILE=$data/rabbitmq-env.conf" "RABBITMQ_CONFIG_FILE=$data/rabbitmq.conf"
    "RABBITMQ_CONFIG_FILES=$data/conf.d" "RABBITMQ_ADVANCED_CONFIG_FILE=$data/advanced.config"
    "RABBITMQ_MNESIA_BASE=$data/mnesia" "RABBITMQ_LOG_BASE=$data/log" "RABBITMQ_SCHEMA_DIR=$data/schema"
    "RABBITMQ_GENERATED_CONFIG_DIR=$data/config" "RABBITMQ_ENABLED_PLUGINS_FILE=$data/plugins"
    "RABBITMQ_PID_FILE=$data/pid"
    "$program" "$@"
  )
  if [ "$suite" = installed ]; then
    cd "$data"
    exec "${command[@]}"
  fi
  # /proc is mounted for these processes alone, and gone with them.
  exec unshare --mount -- bash -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$base/$suite" "${command[@]}"
}

listens() {
  (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# With the lock. epmd tells Erlang's nodes where the others are; the nodes of a cluster have one in common.
ensure_epmd() {
  local node="$1" epmd deadline=$((SECONDS + 10))
  epmd="$(epmd_port "$node")"
  alive "epmd-$epmd" && return
  listens "$epmd" && fail "port $epmd, for epmd of the broker on $node, is in use by another program"
  spawn "epmd-$epmd" run "$node" epmd -port "$epmd" -address 127.0.0.1
  until listens "$epmd"; do
    [ $SECONDS -lt $deadline ] || { cat "$base/epmd-$epmd.log" >&2; fail "epmd does not answer on port $epmd"; }
    pause
  done
}

# The last of the nodes that use an epmd takes it along.
release_epmd() {
  local epmd="$1" file port
  locked
  for file in "$base"/*.suite; do
    port="$(basename "$file" .suite)"
    [ "$(epmd_port "$port" 2> /dev/null)" != "$epmd" ] || ! alive "$port" || { unlocked; return; }
  done
  end KILL "epmd-$epmd"
  rm -f "$base/epmd-$epmd".*
  unlocked
}

# With the lock. What has been claimed for a process that is gone, by kill -9 or a power cut, is free again.
reap() {
  local file pid since
  for file in "$base"/*.owner; do
    [ -e "$file" ] || continue
    read -r pid since < "$file" || continue
    [ "$(born "$pid")" != "$since" ] || continue
    # It waits for the lock, so it must not have inherited it; nor does the caller's output stay open for it.
    "$self" wipe "$(basename "$file" .owner)" < /dev/null > /dev/null 2>&1 9>&- &
  done
}

# With the lock: the first of COUNT ports in a row that nobody uses.
free_ports() {
  local count="$1" range=$((ANY_LAST - ANY_FIRST + 1)) start offset first port
  start=$RANDOM
  for ((offset = 0; offset < range; offset += count)); do
    first=$((ANY_FIRST + (start + offset) % (range - count)))
    for ((port = first; port < first + count; port++)); do
      if [ -e "$base/$port.suite" ] || [ -e "$base/epmd-$((port + EPMD_OFFSET)).pid" ] || listens "$port" \
        || listens $((port + EPMD_OFFSET)) || listens $((port + DISTRIBUTION_OFFSET)); then
        continue 2
      fi
    done
    echo "$first"
    return
  done
  fail "no free port from $ANY_FIRST to $ANY_LAST; what is there is in $base"
}

# With the lock. A port is a broker's from its first start until it is wiped.
claim() {
  local port="$1" suite="$2" epmd="$3" cluster="$4" cookie="$5" data
  if [ -e "$base/$port.suite" ]; then
    [ "$(cat "$base/$port.suite")" = "$suite" ] \
      || fail "port $port has a broker of version $(version_of "$(cat "$base/$port.suite")"); wipe that first"
    [ -z "$cluster" ] || [ "$(cat "$base/$port.cluster" 2> /dev/null)" = "$cluster" ] \
      || fail "port $port has a broker that is not of this cluster; wipe that first"
  else
    echo "$suite" > "$base/$port.suite"
    echo "$epmd" > "$base/$port.epmd"
    [ -z "$cluster" ] || echo "$cluster" > "$base/$port.cluster"
    [ "$suite" != installed ] || readlink -m "${RABBITMQ_DATA_DIR:-$base/installed}/$port" > "$base/$port.data"
  fi
  data="$(data_of "$port")"
  mkdir -p "$data/conf.d"
  [ -e "$data/.erlang.cookie" ] || (umask 277 && echo "$cookie" > "$data/.erlang.cookie")
  [ -z "$cluster" ] || [ -e "$data/rabbitmq.conf" ] || peers "$cluster" > "$data/rabbitmq.conf"
}

# Read at a node's first start only; which nodes there are is with the data afterwards.
peers() {
  local first="${1% *}" nodes="${1#* }" index
  echo "cluster_formation.peer_discovery_backend = classic_config"
  for ((index = 0; index < nodes; index++)); do
    echo "cluster_formation.classic_config.nodes.$((index + 1)) = r$((first + index))@localhost"
  done
}

# With the lock.
launch() {
  local port="$1" suite
  suite="$(cat "$base/$port.suite")"
  if [ -n "${RABBITMQ_OWNER:-}" ]; then
    [ -n "$(born "$RABBITMQ_OWNER")" ] || fail "RABBITMQ_OWNER names no process: $RABBITMQ_OWNER"
    echo "$RABBITMQ_OWNER $(born "$RABBITMQ_OWNER")" > "$base/$port.owner"
    alive "$port.watcher" || spawn "$port.watcher" watch "$port"
  fi
  alive "$port" && return
  listens "$port" && fail "port $port is in use by another program"
  listens $((port + DISTRIBUTION_OFFSET)) && fail "port $((port + DISTRIBUTION_OFFSET)), for the broker on $port, is in use by another program"
  ensure_epmd "$port"
  [ "$suite" = installed ] || cp /etc/hosts "$base/$suite/etc/hosts"
  spawn "$port" run "$port" rabbitmq-server
}

# Looks often, and so without a process of its own.
await() {
  local port="$1" deadline=$((SECONDS + START_SECONDS)) looked=$SECONDS lines
  while :; do
    mapfile -t lines < "$base/$port.log"
    [[ ! "${lines[*]}" =~ "completed with "[0-9]+" plugins" ]] || return 0
    if [ $SECONDS -gt "$looked" ] && looked=$SECONDS && ! alive "$port"; then
      tail -n 20 "$base/$port.log" | cut -c 1-300 >&2 || true
      echo "rabbitmq: the broker on port $port did not start; more may be in $(data_of "$port")/log" >&2
      return 1
    fi
    if [ $SECONDS -ge $deadline ]; then
      echo "rabbitmq: the broker on port $port is not ready after $START_SECONDS s; see $base/$port.log" >&2
      return 1
    fi
    pause
  done
}

url() {
  echo "amqp://guest:guest@127.0.0.1:$1"
}

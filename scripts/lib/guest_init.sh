#!/bin/busybox sh
# shellcheck shell=dash
#
# The init of a guest of scripts/numa_vm. It runs in busybox, whose ash is close to dash.
#
# /prelude says what differs from guest to guest; guest_files.ts writes it: GUEST_ARCH, GUEST_CHECKOUT, GUEST_OUT (empty
# without --out), GUEST_POOLS (lines of "NODE NAME KIB COUNT"), GUEST_COMMANDS (how many there are), GUEST_LANES (how many
# run at a time), GUEST_COUNTS (yes when lines are counted) and, for each command, a function command_N that becomes it.
#
# It reports on the first port, in lines:
#
#   ready                    the commands begin
#   start N                  a command begins; its output has the ports 2N and 2N + 1
#   beat UPTIME N:TICKS:R…   every 5 s, of each command that runs: the CPU time of its threads in hundredths of a second,
#                            and whether one of them runs or would run now
#   looked                   what all threads are at is in the log
#   oom TEXT                 what the kernel logged when it killed for memory
#   exit N STATUS            a command has ended, and all of its output is through
#   failed TEXT              no guest can come of this
#   end                      all commands have ended
#
# The host ends the guest after the last two. It may ask for "look", and for "kill N".
#
# The init stays in the initramfs. The host's files are moved over / and only the commands are put inside them, so nothing
# that a command does to its files or to its memory takes away what is needed to report.

# shellcheck source=/dev/null
. /prelude

BEAT_S=5
export PATH=/bin

failed() {
  echo "failed $*" >&3
  sleep 60
}

share() { # TAG FOLDER OPTIONS
  mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"
}

share_below() { # TAG FOLDER: a share under a tmpfs
  mkdir -p "/$1" "/writes/$1/upper" "/writes/$1/work" && share "$1" "/$1" ro,cache=loose &&
    mount -t overlay -o "lowerdir=/$1,upperdir=/writes/$1/upper,workdir=/writes/$1/work" overlay "$2"
}

# Puts the checkout in its place in a root that is not the host's. What was built for the host gives way to what was built
# for the guest: the runtimes, and the helper that packages carry.
share_checkout() {
  chroot . /bin/busybox --install -s && mkdir -p ".$GUEST_CHECKOUT" &&
    share_below checkout ".$GUEST_CHECKOUT" && cd ".$GUEST_CHECKOUT" &&
    rm -r .tools/bin && ln -s arm64/bin .tools/bin &&
    mkdir -p native/build && cp native/prebuilt/linux-arm64-gnu/libnumakit.so native/build || return 1
  cd /root || return 1
}

pool() { # NODE NAME KIB COUNT
  file=sys/devices/system/node/node$1/hugepages/hugepages-$3kB/nr_hugepages
  [ -e "$file" ] || failed "this kernel has no hugepages of $2"
  # The kernel gives what it can and calls that a success.
  echo "$4" >"$file"
  read -r got <"$file"
  [ "$got" = "$4" ] || failed "node $1 has room for $got of the $4 hugepages of $2: raise its --memory" \
    "(a 1g page is a whole aligned GiB: 2 GiB more than the pages take is enough)"
}

wait_for_ports() {
  tries=0
  until [ -c "/dev/vport0p$((2 * GUEST_COMMANDS + 1))" ]; do
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || exit 1
    usleep 10000
  done
}

# Lines are counted by where they are in memory, so the kernel must not move pages behind the programs' backs: nothing makes
# hugepages of pages that are there, and nothing is compacted ahead of need. A fault still gives a hugepage.
keep_pages() {
  for setting in sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs=4294967295 \
    sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan=1 proc/sys/vm/compaction_proactiveness=0; do
    [ ! -e "${setting%=*}" ] || echo "${setting#*=}" >"${setting%=*}"
  done
}

# Where lines are counted, what runs beside the commands keeps to the last CPU: counts are a CPU's, whoever runs there.
keep_aside() { # PROCESS
  [ "$GUEST_COUNTS" = no ] || taskset -pc $(($(nproc) - 1)) "$1" >/dev/null
}

# Leaves the shell in the folder that becomes the root of the commands.
make_root() {
  { mount -t tmpfs tmpfs /writes && share_below host /root; } || failed "the host's files can't be mounted"
  cd /root || failed "the host's files can't be entered"
  [ "$GUEST_ARCH" = x64 ] || share_checkout || failed "the checkout can't be mounted"
  mkdir -p proc sys dev tmp run
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t devtmpfs dev dev
  mkdir dev/pts dev/shm
  mount -t devpts devpts dev/pts
  mount -t tmpfs tmpfs dev/shm
  ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin
  ln -s /proc/self/fd/1 dev/stdout
  ln -s /proc/self/fd/2 dev/stderr
  if [ -n "$GUEST_OUT" ]; then
    mkdir -p ".$GUEST_OUT"
    share out ".$GUEST_OUT" cache=mmap || failed "the folder of --out can't be mounted"
  fi
  ip link set lo up
  hostname guest
  echo "$GUEST_POOLS" | while read -r node name kib count; do
    [ -z "$node" ] || pool "$node" "$name" "$kib" "$count"
  done
  [ "$GUEST_COUNTS" = no ] || keep_pages
  mount --move . /
}

# Sets session to that of a process: 0 for the kernel's threads and for the init with what it starts for itself.
read_session() { # PROCESS
  session=0
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return
  line=${line##*) }
  line=${line#* }
  line=${line#* }
  line=${line#* }
  session=${line%% *}
}

# Again when there were some: they may have started others meanwhile.
kill_session() { # SESSION, or "any"
  for _ in 1 2 3; do
    killed=no
    for folder in /proc/[0-9]*; do
      read_session "${folder#/proc/}"
      [ "$session" != 0 ] || continue
      [ "$1" = any ] || [ "$session" = "$1" ] || continue
      kill -9 "${folder#/proc/}" 2>/dev/null && killed=yes
    done
    [ $killed = yes ] || break
  done
}

# What all threads are at, for the log.
look() {
  echo "numa_vm: what the threads are at:"
  for task in /proc/[0-9]*/task/*; do
    read_session "${task##*/}"
    [ "$session" != 0 ] || continue
    read -r name <"$task/comm" || continue
    read -r place <"$task/wchan" # without a newline
    read -r call _ <"$task/syscall"
    echo "${task#/proc/} $name: in $place, system call $call"
  done 2>/dev/null
}

listen() {
  while read -r word number <&3; do
    case $word in
      look)
        look
        # The console is slow, and the host ends the guest when it hears of this.
        sleep 3
        echo looked >&3
        ;;
      kill) { read -r leader <"/sessions/$number"; } 2>/dev/null && kill_session "$leader" ;;
    esac
  done
}

# A thread of a session that is no command's own (a daemon's) counts for all of them.
# shellcheck disable=SC2016 # awk's own
COUNT_TICKS='
BEGIN { n = split(sessions, words, " "); for (i = 1; i <= n; i++) { split(words[i], pair, "="); of[pair[1]] = pair[2] } }
{ sub(/^.*\) /, "") }
$4 != 0 { k = ($4 in of) ? of[$4] : 0; ticks[k] += $12 + $13; if ($1 == "R") runs[k] = 1 }
END { for (s in of) { k = of[s]; printf " %d:%d:%d", k, ticks[k] + ticks[0], (runs[k] + runs[0] > 0) } }'

beat() {
  while sleep $BEAT_S; do
    list=
    for file in /sessions/*; do
      read -r leader <"$file" && list="$list $leader=${file##*/}"
    done 2>/dev/null
    read -r uptime _ </proc/uptime
    counts=$(cat /proc/[0-9]*/task/*/stat 2>/dev/null | awk -v "sessions=$list" "$COUNT_TICKS")
    echo "beat $uptime$counts" >&3
  done
}

report_oom() {
  grep -q '^oom_kill [1-9]' /proc/vmstat || return 0
  dmesg | grep 'Out of memory: Killed' | sed 's/^/oom /' >&3
}

run_command() { # N
  # A port can be opened only once and programs do open /dev/stdout, so they get pipes.
  mkfifo "/stdout$1" "/stderr$1"
  cat <"/stdout$1" >"/dev/vport0p$((2 * $1))" 3>&- &
  pump1=$!
  keep_aside $pump1
  cat <"/stderr$1" >"/dev/vport0p$((2 * $1 + 1))" 3>&- &
  pump2=$!
  keep_aside $pump2
  echo "start $1" >&3
  (
    exec 3>&-
    echo 0 >/proc/self/oom_score_adj
    # shellcheck disable=SC3045 # busybox has them
    ulimit -H -n 1048576 && ulimit -S -n 65536 && ulimit -l unlimited
    "command_$1"
  ) </dev/null >"/stdout$1" 2>"/stderr$1" &
  leader=$!
  echo "$leader" >"/sessions/$1"
  wait "$leader"
  status=$?
  rm "/sessions/$1"
  # What the command left running would hold the pipes open for ever.
  if [ "$GUEST_LANES" = 1 ]; then kill_session any; else kill_session "$leader"; fi
  { wait "$pump1" && wait "$pump2"; } || failed "the command killed what carries its output"
  report_oom
  sync
  echo "exit $1 $status" >&3
}

# Takes one command after the other, of those that no other lane has taken.
run_lane() {
  number=0
  while [ $number -lt "$GUEST_COMMANDS" ]; do
    number=$((number + 1))
    mkdir "/taken/$number" 2>/dev/null || continue
    # The next one finds the nodes as empty as the first.
    [ "$GUEST_LANES" != 1 ] || [ $number = 1 ] || echo 3 >/proc/sys/vm/drop_caches
    run_command $number
  done
}

mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo -1000 >/proc/self/oom_score_adj
for module in /modules/*; do insmod "$module"; done
wait_for_ports
exec 3<>/dev/vport0p1
make_root
mkdir /sessions /taken
echo ready >&3
listen &
keep_aside $!
beat &
keep_aside $!
renice -n -10 -p $! >/dev/null
lanes=
while [ "$GUEST_LANES" -gt 1 ]; do
  run_lane &
  lanes="$lanes $!"
  [ "$(echo "$lanes" | wc -w)" -lt "$GUEST_LANES" ] || break
done
if [ "$GUEST_LANES" = 1 ]; then run_lane; fi
# shellcheck disable=SC2086 # a list
[ -z "$lanes" ] || wait $lanes
if [ -n "$GUEST_OUT" ]; then
  sync
  umount ".$GUEST_OUT"
fi
echo end >&3
sleep 60

# What the scripts here share. Sourced, never run: `. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"`.
# Needs nothing beyond a bare Debian 12 (bash, coreutils, perl-base, dpkg). Everything it says goes to stderr, so that
# a script's stdout is its result. Files it makes lie under .cache/ and build/, which git ignores.
# shellcheck shell=bash

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8
umask 022

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${HANDOFF_CACHE:-$PROJECT/.cache} # HANDOFF_CACHE lets several clones share what was downloaded
LOGS=$PROJECT/.cache/logs
PROGRAM=scripts/${0##*/}

# What a build needs, and what the tests need besides. Names are Debian 12's; only what is missing is installed.
PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config librdkafka-dev libcurl4-openssl-dev libjson-c-dev
	libconfig-dev libmicrohttpd-dev libsystemd-dev zlib1g-dev libjemalloc-dev libcmocka-dev)
PACKAGES_KAFKA=(openjdk-17-jre-headless maven)
PACKAGES_TEST=(python3-pytest python3-pytest-xdist python3-confluent-kafka python3-jsonschema python3-yaml kcat openssl)
PACKAGES_FORMAT=(clang-format)
# The page in a real browser; promtool; the package and what checks it. Large: for scripts/test --all only.
PACKAGES_SEEN=(mandoc python3-venv chromium chromium-driver fonts-dejavu-core prometheus systemd strace lintian
	adduser dpkg-dev file)
PACKAGES_CLANG=(clang clang-tidy libclang-rt-14-dev)

say()  { printf '%s\n' "$*" >&2; }
warn() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
# die CODE SENTENCE: 1 failed, 2 wrong usage, 3 something from outside cannot be had
die()  { local code=$1; shift; warn "$*"; exit "$code"; }
# help_text: prints the comment block at the top of the script as its help.
help_text() { awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"; }
# value OPTION [VALUE...]: the option's value, or wrong usage
value() { [ -n "${2:-}" ] || die 2 "$1 needs a value; see $PROGRAM --help"; printf '%s' "$2"; }
number() { [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die 2 "$1 must be a whole number above 0, not '$2'"; }

# --- leaving: what was started is stopped, whatever ends the script ---------------------------------------------

DEFERRED=()
# defer COMMAND...: run it when the script ends, last in, first out. Words are kept as they are.
defer() { DEFERRED=("$(printf '%q ' "$@")" ${DEFERRED[@]+"${DEFERRED[@]}"}); }
leave()
{
	local code=$? command
	trap '' INT TERM HUP
	trap - EXIT
	for command in ${DEFERRED[@]+"${DEFERRED[@]}"}; do
		eval "$command" || true
	done
	exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ended PID: it is gone, or dead and only not yet collected by its parent
ended() { ! kill -0 "$1" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }
# wait_for SECONDS COMMAND...: 0 as soon as the command succeeds, 1 when the time is over
wait_for()
{
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.05
	done
}
# stop_pid PID [SECONDS]: SIGTERM, and SIGKILL when the time (default 10 s) is over. Fine when it has ended already.
stop_pid()
{
	kill -TERM "$1" 2>/dev/null || return 0
	wait_for "${2:-10}" ended "$1" || kill_pid "$1"
	wait "$1" 2>/dev/null || true
}
kill_pid()
{
	kill -KILL "$1" 2>/dev/null || true
	wait_for 10 ended "$1" || warn "process $1 does not die"
}
# answers_200 PORT PATH: a GET on the loopback; a bare machine has no curl. (cat: bash itself would write line by line.)
answers_200()
{
	(exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" | cat >&3 &&
		read -r -t 5 line <&3 && [[ $line == HTTP/1.?\ 200\ * ]]) 2>/dev/null
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports N: ports of the loopback nobody listens on, one a line, below the range that the kernel gives to outgoing
# connections: what is free now stays free until it is used, also while a broker is down.
free_ports()
{
	perl -MSocket -e '
		my @held;
		for (my $try = 0; @held < $ARGV[0] && $try < 10000; $try++) {
			my $port = 15000 + int(rand(17000));
			socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
			bind($s, pack_sockaddr_in($port, INADDR_LOOPBACK)) or next;
			push @held, $s;
			print "$port\n";
		}
		exit(@held < $ARGV[0]);' "$1"
}

# --- running and installing ---------------------------------------------------------------------------------------

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
apt_get() { root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=300 "$@"; }

# logged NAME COMMAND...: its output goes to a file; when it fails, the end of that file is shown. Returns its exit code.
logged()
{
	local log=$LOGS/$1.log code=0
	shift
	mkdir -p "$LOGS"
	"$@" >"$log" 2>&1 </dev/null || code=$?
	[ $code != 130 ] || exit 130 # Ctrl-C, which Java tells by its exit code, not by the signal
	[ $code = 0 ] || { tail -n 40 "$log" >&2; warn "failed ($code): $* (all of it: $log)"; }
	return $code
}

missing_packages()
{
	local name
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" = "install ok installed" ] || printf '%s\n' "$name"
	done
}

# need_packages PURPOSE PACKAGE...: installs what is missing; neither network nor sudo is touched when nothing is.
# Returns 1, having said why, when that cannot be done.
need_packages()
{
	local purpose=$1 missing size
	shift
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		warn "for $purpose these packages are missing, and there is no apt-get to install them: ${missing[*]}"
		return 1
	fi
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		warn "for $purpose run this as root first: apt-get install --no-install-recommends ${missing[*]}"
		return 1
	fi
	say "Installing for $purpose (only what is missing): ${missing[*]}"
	logged apt-update apt_get update -q || return 1
	size=$(apt_get install --no-install-recommends --assume-no "${missing[@]}" 2>/dev/null |
		awk '/^Need to get/ { get = $4 " " $5 } /^After this operation/ { disk = $4 " " $5 }
		     END { if (get) printf "%s to download, %s on disk", get, disk }') || true
	say "  ${size:-size unknown}; this takes about half a minute ..."
	logged apt-install apt_get install -y -q --no-install-recommends "${missing[@]}" || return 1
}

# build PRESET [TARGET...]: configures and builds one of CMakePresets.json into build/PRESET
build()
{
	local preset=$1
	shift
	say "Building (preset $preset) ..."
	cd "$PROJECT"
	logged "configure-$preset" cmake --preset "$preset" || return 1
	if [ -t 2 ]; then # ninja keeps its progress in one line
		cmake --build --preset "$preset" ${@:+--target "$@"} >&2
	else
		logged "build-$preset" cmake --build --preset "$preset" ${@:+--target "$@"}
	fi
}

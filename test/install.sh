#!/bin/sh
# Installs the Debian packages with the programs that the tests use. Says at once if everything is there; installs what
# is missing when run as root; otherwise names it and fails.
set -eu

packages="ca-certificates chromium coreutils curl ffmpeg fonts-dejavu-core gir1.2-gst-rtsp-server-1.0 git
gstreamer1.0-libav gstreamer1.0-plugins-bad gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-ugly gstreamer1.0-rtsp gstreamer1.0-tools iproute2 libnginx-mod-rtmp multicat nginx openssl procps
python3 python3-gi rtmpdump util-linux vlc-bin vlc-plugin-base"

missing() {
	for p in $packages; do
		case $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null || true) in
		ii*) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

if ! command -v dpkg-query >/dev/null; then
	echo "this is no Debian: install the programs of these packages yourself: $packages" >&2
	exit 0 # the tests say which program they miss
fi
need=$(missing)
if [ -z "$need" ]; then
	echo "all $(echo $packages | wc -w) packages are installed"
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "these Debian packages are missing; as root, run: apt-get install --no-install-recommends $need" >&2
	exit 1
fi
echo "installing $need"
export DEBIAN_FRONTEND=noninteractive
# A service that a package starts would take ports; policy-rc.d says no while we install.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
	made=yes
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
log=$(mktemp)
install() { apt-get install -y --no-install-recommends $need >"$log" 2>&1; }
apt-get update >"$log" 2>&1 || echo "apt-get update failed, trying with the lists that are there" >&2
if ! install; then
	sleep 10
	install || { tail -n 30 "$log" >&2; exit 1; }
fi
rm -f "$log"
left=$(missing)
[ -z "$left" ] || { echo "still missing: $left" >&2; exit 1; }

package test

import (
	"fmt"
	"os"
	"os/exec"
	"sort"
)

// programs are the real programs that the tests use, each with its Debian package. install.sh installs these packages.
var programs = map[string]string{
	"ffmpeg":         "ffmpeg",
	"ffprobe":        "ffmpeg",
	"rtmpdump":       "rtmpdump",
	"multicat":       "multicat",
	"curl":           "curl",
	"nginx":          "nginx",
	"gst-launch-1.0": "gstreamer1.0-tools",
	"chromium":       "chromium",
	"openssl":        "openssl",
	"stdbuf":         "coreutils",
	"unshare":        "util-linux",
	"runuser":        "util-linux",
	"nsenter":        "util-linux",
	"ip":             "iproute2",
	"cvlc":           "vlc-bin",
}

// files are parts of packages that are no programs.
var files = map[string]string{
	"/usr/lib/nginx/modules/ngx_rtmp_module.so": "libnginx-mod-rtmp",
	"/usr/bin/python3":                          "python3",
}

// missingPrograms returns "ffmpeg (Debian: ffmpeg)" for each that is not here.
func missingPrograms() []string {
	var out []string
	for name, deb := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if _, err := os.Stat("/usr/sbin/" + name); err != nil {
				out = append(out, fmt.Sprintf("%s (Debian: %s)", name, deb))
			}
		}
	}
	for name, deb := range files {
		if _, err := os.Stat(name); err != nil {
			out = append(out, fmt.Sprintf("%s (Debian: %s)", name, deb))
		}
	}
	camera := exec.Command("/usr/bin/python3", "-c", "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer")
	if err := camera.Run(); err != nil {
		out = append(out, "GStreamer's RTSP server for Python (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi)")
	}
	sort.Strings(out)
	return out
}

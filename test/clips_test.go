package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"weir/test/units"
)

// A content is what a clip holds.
type content struct {
	name         string
	video, audio string // codec names, empty for none
	videoArgs    []string
	audioArgs    []string
}

var (
	x264 = []string{"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "main", "-b:v", "350k", "-maxrate", "450k", "-bufsize", "300k", "-bf", "3",
		"-x264-params", "keyint=25:min-keyint=25:scenecut=0:b-adapt=0:b-pyramid=normal:open-gop=0"}
	x265 = []string{"-c:v", "libx265", "-preset", "ultrafast", "-b:v", "350k", "-tag:v", "hvc1",
		"-x265-params", "log-level=error:keyint=25:min-keyint=25:scenecut=0:bframes=3:b-adapt=0:open-gop=0:repeat-headers=1:vbv-maxrate=450:vbv-bufsize=300"}
	// Sound begins after zero, because encoders put their first frame before the first sample.
	later = "asetpts=PTS+0.1/TB"

	aac  = []string{"-af", later, "-c:a", "aac", "-ar", "48000", "-ac", "2", "-b:a", "96k"}
	mp3  = []string{"-af", later, "-c:a", "libmp3lame", "-ar", "48000", "-ac", "2", "-b:a", "96k"}
	pcma = []string{"-af", later, "-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"}
)

// contents are the columns of a row of the matrix.
var contents = []content{
	{name: "h264b+aac", video: "h264", audio: "aac", videoArgs: x264, audioArgs: aac},
	{name: "h265+aac", video: "h265", audio: "aac", videoArgs: x265, audioArgs: aac},
	{name: "h264b+mp3", video: "h264", audio: "mp3", videoArgs: x264, audioArgs: mp3},
	{name: "h264b+pcma", video: "h264", audio: "pcma", videoArgs: x264, audioArgs: pcma},
	{name: "h264b", video: "h264", videoArgs: x264},
	{name: "aac", audio: "aac", audioArgs: aac},
}

// clipSeconds is how long a clip runs: room for a receiver that comes two key frames late, and seconds to compare.
const clipSeconds = 7

var clips struct {
	sync.Mutex
	made map[string]error
}

// once makes the named file with f, once for all tests.
func once(name string, f func(path string) error) (string, error) {
	clips.Lock()
	defer clips.Unlock()
	path := filepath.Join(os.Getenv(scratchKey), name)
	err, done := clips.made[path]
	if !done {
		err = f(path)
		if clips.made == nil {
			clips.made = map[string]error{}
		}
		clips.made[path] = err
	}
	return path, err
}

// clip is the content as QuickTime, whose time scales are exact.
func (c content) clip() (string, error) {
	return once("clip-"+c.name+".mov", func(path string) error {
		args := []string{"-nostdin", "-y", "-v", "error"}
		if c.video != "" {
			args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=640x360:r=25:d=%d,noise=alls=8:allf=t", clipSeconds))
		}
		if c.audio != "" {
			// Noise, so that no two frames are alike.
			args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=d=%d:c=pink:r=48000:a=0.3:seed=7", clipSeconds))
		}
		args = append(args, c.videoArgs...)
		if c.video != "" {
			args = append(args, "-pix_fmt", "yuv420p", "-video_track_timescale", "90000")
		}
		args = append(args, c.audioArgs...)
		return ffmpeg(append(args, "-f", "mov", path)...)
	})
}

// as is the clip in another container, written by the same ffmpeg command that a publisher runs.
func (c content) as(format string, args ...string) (string, error) {
	clip, err := c.clip()
	if err != nil {
		return "", err
	}
	return once("clip-"+c.name+"."+format, func(path string) error {
		return ffmpeg(append(append([]string{"-nostdin", "-y", "-v", "error", "-i", clip, "-map", "0", "-c", "copy"}, args...), path)...)
	})
}

// units reads a recording of this content.
func (c content) units(path string) ([]units.Unit, error) {
	if strings.HasSuffix(path, ".flv") {
		return units.FLV(path)
	}
	return units.Probe(path, c.video, c.audio)
}

// pcm is the rate of audio that has no frames, in bytes a second.
func (c content) pcm() int {
	if c.audio == "pcma" {
		return 8000
	}
	return 0
}

func ffmpeg(args ...string) error {
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

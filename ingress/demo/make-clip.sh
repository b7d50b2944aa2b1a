#!/bin/sh
# Makes clip.flv, the picture and sound of the built-in camera: 8 s that loop without a seam.
#
# 8 s are 200 pictures at 25 a second and 375 AAC frames of 1024 samples at 48 kHz, both whole numbers. The tones have
# whole periods in 8 s, and the frames are cut from the middle of a longer encode, so the decoder's overlap fits at the
# seam. The picture has B-frames and a key frame each second. Needs ffmpeg with libx264 and the DejaVu fonts
# (Debian: ffmpeg, fonts-dejavu-core).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# An AAC packet decodes to the samples before it, so packet 94 begins with input sample 93*1024, at 1.984 s.
first=94
u="(t-1.984)"
beep="0.35*sin(2*PI*1000*$u)*lt(mod($u+8,1),0.08)"
ffmpeg -nostdin -y -loglevel error -f lavfi \
	-i "aevalsrc='0.06*sin(2*PI*220*$u)+$beep|0.06*sin(2*PI*330*$u)+$beep':s=48000:d=13" \
	-c:a aac -profile:a aac_low -b:a 64k -f adts "$work/tone.aac"
ffmpeg -nostdin -y -loglevel error -i "$work/tone.aac" -c copy \
	-bsf:a "noise=drop=lt(n\,$first),aac_adtstoasc,setts=ts=N*1024" -frames:a 375 "$work/tone.m4a"

font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf
ffmpeg -nostdin -y -loglevel error \
	-f lavfi -i "testsrc2=size=640x360:rate=25:duration=8" \
	-vf "drawtext=fontfile=$font:text='weir':x=24:y=h-84:fontsize=60:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=8,drawtext=fontfile=$font:text='%{eif\:floor(t)\:d}.%{eif\:mod(n\,25)\:d\:2}':x=w-text_w-24:y=h-84:fontsize=60:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=8,format=yuv420p" \
	-c:v libx264 -profile:v main -level 3.0 -preset veryslow -b:v 340k -maxrate 500k -bufsize 500k \
	-x264-params "keyint=25:min-keyint=25:scenecut=0:bframes=2:b-adapt=0:b-pyramid=none:open-gop=0:repeat-headers=0" \
	-frames:v 200 "$work/picture.mp4"

ffmpeg -nostdin -y -loglevel error -i "$work/picture.mp4" -i "$work/tone.m4a" -map 0:v -map 1:a -c copy \
	-fflags +bitexact -flags +bitexact -flvflags no_duration_filesize -f flv clip.flv
ls -l clip.flv

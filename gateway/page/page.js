// Plays the page's stream as HTTP-FLV, and starts again when it ends.
"use strict";
const video = document.getElementById("video");
const state = document.getElementById("state");
let player = null;

function start() {
  if (!mpegts.isSupported()) {
    state.textContent = "This browser has no Media Source Extensions; use one of the addresses below in a player.";
    return;
  }
  player = mpegts.createPlayer(
    { type: "flv", isLive: true, url: new URL("/" + video.dataset.stream + ".flv", location.href).href },
    { liveBufferLatencyChasing: true, enableStashBuffer: false },
  );
  player.on(mpegts.Events.ERROR, (kind, detail) => again(kind + ": " + detail));
  player.on(mpegts.Events.LOADING_COMPLETE, () => again("the stream ended"));
  player.attachMediaElement(video);
  player.load();
  Promise.resolve(player.play()).catch(() => { state.textContent = "Press play."; });
}

function again(why) {
  state.textContent = why + "; trying again";
  if (player) { player.destroy(); player = null; }
  setTimeout(start, 1000);
}

video.addEventListener("timeupdate", () => {
  state.textContent = video.videoWidth + "×" + video.videoHeight + ", " + video.currentTime.toFixed(1) + " s";
});
start();

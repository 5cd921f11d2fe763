// camera.js - a stream of the camera in a <video>, and its sentences.

const sentences = {
  NotAllowedError: "The camera is not allowed for this page; the browser's " +
    "settings of the page can change that.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is in use by another program.",
};

let facing = "environment"; // what somebody stands before, not themselves

export const turn = () => {
  facing = facing === "environment" ? "user" : "environment";
};

/** Shows the camera in a video; throws a sentence. */
export async function start(video) {
  // Browsers hide cameras from pages without TLS, except on loopback.
  if (!navigator.mediaDevices)
    throw new Error("The camera needs https, or a server on this machine.");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: facing, width: { ideal: 1280 } },
    });
    stop(video);
    video.srcObject = stream;
    await video.play();
  } catch (problem) {
    throw new Error(sentences[problem.name] ??
      "The camera does not start.");
  }
}

export function stop(video) {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

// The microphone: asked for, given up, and how loud it is.

const LOOK_MS = 100;
const WANTED = { audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };

const REFUSALS = {
  NotAllowedError: "The microphone was refused. Allow it for this page in the browser, then call again.",
  SecurityError: "The microphone was refused. Allow it for this page in the browser, then call again.",
  NotFoundError: "No microphone was found. Plug one in, then call again.",
  NotReadableError: "The microphone is in use by another program.",
};

export class MicrophoneError extends Error {}

/** A stream of one microphone. Rejects with a MicrophoneError that says what to do. */
export async function askForMicrophone() {
  if (!navigator.mediaDevices) {
    throw new MicrophoneError("Browsers give a microphone only to pages that were opened with https, or on this very machine.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new MicrophoneError(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
}

export function giveUp(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Tell `show` how loud the stream is, 0 to 1, ten times a second; returns what ends it. */
export function watchLevel(stream, show) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // −60 dB is a quiet room, 0 dB as loud as it gets.
    show(Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 6)));
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    show(0);
    void context.close();
  };
}

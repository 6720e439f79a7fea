// Saving a transcript: a plain link could not carry the key.

/** Hand the browser a call's transcript as a file `<call id>.<format>`. Raises ApiError. */
export async function saveTranscript(api, callId, format) {
  const response = await api.open(`v1/calls/${encodeURIComponent(callId)}/transcript?format=${format}`);
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = `${callId}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // by then the browser has read it
}

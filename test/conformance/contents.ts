/** The suite wants a description of everything. */
export const described = { description: "A fixture of the conformance suite" };

/** One red point, as PNG. */
export const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** No sound at all, as WAV. */
const audio = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

export const text = (text: string) => ({ type: "text" as const, text });
export const picture = { type: "image" as const, data: image, mimeType: "image/png" };
export const sound = { type: "audio" as const, data: audio, mimeType: "audio/wav" };

export const said = (words: string) => ({ content: [text(words)] });

export function embedded(uri: string, mimeType: string, text: string) {
  return { type: "resource" as const, resource: { uri, mimeType, text } };
}

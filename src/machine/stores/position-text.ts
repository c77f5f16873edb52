import type { TranscriptRow } from "../../clients/transcript/transcript-rows.ts";

/** Bytes of a transcript that a finding is about. */
export type Found = Pick<TranscriptRow, "position" | "bytes" | "line">;

/** @param since follows the line's number */
export function positionText({ position, bytes, line }: Found, since = ""): string {
  return `${bytes.toLocaleString("en")} bytes at byte ${position.toLocaleString("en")} (line ${line}${since})`;
}

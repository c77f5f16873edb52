import type { LiveLine } from "../../contract/live-page.ts";
import type { phoneProtocol, PhoneFrame, RelayFrame } from "../../contract/phone-frames.ts";
import type { SealedFrame } from "../../pairing/channel.ts";
import type { Answer, Refused } from "../backend.ts";

/** Reads what a relay passes on without the schema library, which is larger than the page. */

export const protocol: typeof phoneProtocol = "shim.phone";

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export type Received =
  | { readonly isThere: boolean }
  | { readonly open: string; readonly answer: string }
  | { readonly sealed: SealedFrame }
  | null;

/** @returns null for what is no frame to a phone */
export function readFrame(data: unknown): Received {
  const { isThere, open, answer, session, n, sealed } = fieldsOf(parsed(data));
  if (typeof isThere === "boolean") return { isThere };
  if (typeof open === "string" && typeof answer === "string") return { open, answer };
  if (typeof session !== "string" || typeof n !== "number" || typeof sealed !== "string") return null;
  return { sealed: { session, n, sealed } };
}

function parsed(data: unknown): unknown {
  try {
    return typeof data === "string" && data.startsWith("{") ? (JSON.parse(data) as unknown) : null;
  } catch {
    return null;
  }
}

export type Content =
  | { readonly id: number; readonly answer: Answer<never> }
  | { readonly changed: LiveLine["changed"] }
  | null;

/** Reads what a sealed frame of the machine has in it. */
export function readContent(opened: unknown): Content {
  const { id, value, error, changed } = fieldsOf(opened);
  if (typeof changed === "string") return { changed: changed as LiveLine["changed"] };
  if (typeof id !== "number") return null;
  return {
    id,
    answer: error === undefined ? { ok: true, value: value as never } : { ok: false, error: error as Refused },
  };
}

export function textOf(frame: PhoneFrame | RelayFrame): string {
  return JSON.stringify(frame);
}

import { err } from "../../../shared/result.ts";
import type { CaptureError } from "../../checkpoints/capture.ts";
import type { ToolError } from "../chat/session-argument.ts";

export function captureRefusal(error: CaptureError): { readonly ok: false; readonly error: ToolError } {
  switch (error.code) {
    case "unknown_session":
      return err({ code: error.code, message: 'This session was deleted meanwhile. Call again without "session".' });
    case "nothing_to_save":
      return err({
        code: error.code,
        message: "Nothing is known of this session yet. Give at least goal, nextStep or state.",
      });
    case "too_large":
      return err({
        code: error.code,
        message: `The state is ${error.bytes} bytes, the limit is ${error.maxBytes}; most is in "${error.largest}". Shorten it and call again; nothing was saved.`,
      });
  }
}

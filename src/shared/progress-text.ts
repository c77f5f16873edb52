import type { Progress } from "../contract/tasks.ts";

/** `40 % half way`; "" without any. */
export function progressText(progress: Progress | null): string {
  const { percent, note } = progress ?? {};
  return [percent === undefined ? "" : `${Math.round(percent)} %`, note ?? ""].filter((text) => text !== "").join(" ");
}

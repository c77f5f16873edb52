import type { Platform } from "./edge/platform.ts";

/** @returns the promise's value, or `late` after so many ms; a pending timer would keep the process alive */
export async function withDeadline<Value, Late>(
  { setTimer }: Pick<Platform, "setTimer">,
  promise: Promise<Value>,
  ms: number,
  late: Late,
): Promise<Value | Late> {
  const timeout = Promise.withResolvers<Late>();
  const cancel = setTimer(() => timeout.resolve(late), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    cancel();
  }
}

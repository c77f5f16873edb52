import { untilFound } from "../../test/harness/claude/claude-code.ts";

const restMs = 600;

/** A client at work paints; the mark of the bench's own hook says nothing about the other hooks of the event. */
export async function screenAtRest(screen: () => string): Promise<void> {
  let [last, since] = ["", performance.now()];
  const isAtRest = (): boolean => {
    const now = screen();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > restMs;
  };
  await untilFound(() => isAtRest() || null, "a screen at rest");
}

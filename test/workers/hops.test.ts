import { expect, onTestFinished } from "vitest";
import { it } from "./support.ts";

/** The Worker's own before the call of the object: the guard and the route, each with its closure. */
const hopsOfWorker = 4;

/** V8's own property, in frames. */
const limited = Error as unknown as { stackTraceLimit: number };

it("a submitted task passes at most 20 functions of SHIM on its way to the handler", async ({ workspace }) => {
  const { stackTraceLimit } = limited;
  onTestFinished(() => void (limited.stackTraceLimit = stackTraceLimit));
  limited.stackTraceLimit = 100;
  let hops: string[] = [];
  await workspace.inside(({ storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    sql.exec = ((...given: Parameters<typeof exec>) => {
      const frames = framesOf(new Error("the first statement of the handler"));
      const handler = frames.findIndex((frame) => frame.includes("tasks.submit"));
      if (handler >= 0 && hops.length === 0) hops = frames.slice(handler);
      return exec(...given);
    }) as typeof sql.exec;
  });
  await workspace.ask("tasks.submit", { tasks: [{ type: "t" }] });
  expect(hops.at(-1)).toContain("ChatCoordinator.call");
  expect(hops.length + hopsOfWorker).toBeLessThanOrEqual(20);
});

/** Functions of SHIM on the stack, the innermost first. */
function framesOf({ stack = "" }: Error): string[] {
  return stack.split("\n").filter((line) => line.includes("/src/"));
}

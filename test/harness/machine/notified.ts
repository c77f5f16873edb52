import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { Notifier, type NotifierOptions } from "#src/local-mcp/notify/notifier.ts";
import { DeathWatch } from "#src/machine/recovery/incomplete/deaths.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

/** A webhook on this machine. */
export async function aReceiver() {
  const receiver = { url: "", bodies: [] as Record<string, unknown>[], status: 204 };
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      receiver.bodies.push(JSON.parse(body) as Record<string, unknown>);
      response.writeHead(receiver.status, { location: "/elsewhere" }).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return receiver;
}

/** A chat of one turn that was killed. */
export function die(runtime: TempRuntime, session = "dead-chat"): void {
  const claude = new Claude(runtime, { cwd: aProject(), session });
  claude.turn("x");
  claude.kill();
}

/** Each call lets the time pass in which the host notifies of a death. */
export function looksOf(runtime: TempRuntime, options: Omit<NotifierOptions, "runtime"> = {}): () => Promise<void> {
  const notifier = new Notifier({ runtime, ...options });
  const deaths = new DeathWatch();
  return async () => {
    for (let n = 0; n < 4; n++) {
      runtime.wait(10_000);
      deaths.check(runtime);
      await notifier.check();
    }
  };
}

import { createServer, type ServerResponse } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { askOperation } from "#src/local-mcp/host-client/host-client.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { OperationResult } from "#src/shared/operation-result.ts";
import { launchIn } from "#harness/machine/cli-home.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** Asks a host that answers so. */
async function askWith(answer: (response: ServerResponse) => void) {
  const { home } = tempHome();
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  const server = createServer((request, response) => {
    request.resume().once("end", () => answer(response));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
  const heard: unknown[] = [];
  const reports = {
    progress: (text: string) => void heard.push(text),
    onSecretsRemoved: (count: number) => void heard.push(count),
  };
  const asked = { name: "sessions.name", input: {}, env: {}, by: "command line" } as const;
  const ask = (): Promise<OperationResult<unknown>> =>
    askOperation({ home, launch: launchIn(home), env: process.env }, asked, reports);
  return { ask, heard };
}

function lines(...all: object[]): string {
  return all.map((line) => `${JSON.stringify(line)}\n`).join("");
}

it("progress and removed secrets are heard before the result, however the lines arrive", async () => {
  const text = lines({ progress: "Fetching" }, { secretsRemoved: 2 }, { result: { ok: true, value: { name: "ä" } } });
  const bytes = Buffer.from(text);
  const { ask, heard } = await askWith((response) => {
    for (const byte of bytes) response.write(Buffer.of(byte));
    response.end();
  });
  expect([await ask(), heard]).toEqual([{ ok: true, value: { name: "ä" } }, ["Fetching", 2]]);
});

it("an answer that ends early may have been done; one that is refused was not", async () => {
  const early = await askWith((response) => {
    response.write(lines({ progress: "Working" }), () => response.destroy());
  });
  expect(await early.ask()).toMatchObject({ ok: false, error: { code: "outcome_unknown" } });
  const whole = await askWith((response) => response.end());
  expect(await whole.ask()).toMatchObject({ ok: false, error: { code: "outcome_unknown" } });
  const refused = await askWith((response) => response.writeHead(404).end());
  const message = expect.stringContaining("Nothing was changed");
  expect(await refused.ask()).toEqual({ ok: false, error: { code: "host_unusable", message } });
});

it("an error of the system keeps what a command line explains it by", async () => {
  const error = { message: "ENOSPC: no space left", stack: "there", code: "ENOSPC", syscall: "write", path: "/h/keys" };
  const { ask } = await askWith((response) => response.end(lines({ error })));
  await expect(ask()).rejects.toMatchObject(error);
});

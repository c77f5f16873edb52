import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { HookProgram } from "#src/clients/adapter/hook-program.ts";
import { clientHeader, homeHeader, valueOf } from "#src/clients/adapter/hook-variables.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { childrenOf, untilFound, type Child } from "#harness/claude/claude-code.ts";

/** Of a hook process that answers: no speed of the machine decides. */
const limits = { eventMs: 60_000, startMs: 60_000 };

/** A home of OpenCode's process, and a program of hooks that writes down what it gets. */
function aHome(eventMs = limits.eventMs): {
  home: string;
  program: HookProgram;
  started: () => string[];
  reports: string[];
} {
  const folder = mkdtempSync(join(tmpdir(), "shim plugin-"));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  const home = join(folder, "a home");
  mkdirSync(home);
  vi.stubEnv("SHIM_HOME", home);
  const notes = join(folder, "started");
  const script = join(folder, "hook.sh");
  writeFileSync(notes, "");
  writeFileSync(script, `echo "$* \${SHIM_HOOK_WAITED-}" >> '${notes}'; cat > /dev/null; echo '{"by":"program"}'\n`);
  const program = new HookProgram(["/bin/sh", script], "opencode", { ...limits, eventMs });
  return { home, program, started: () => readFileSync(notes, "utf8").split("\n").slice(0, -1), reports: [] };
}

async function aHost(home: string, answer: RequestListener): Promise<void> {
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  const server = createServer(answer).listen(socket);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

it("the plugin sends each event to the host, with what says who sends it, and starts no process", async () => {
  const { home, program, started, reports } = aHome();
  const got: unknown[] = [];
  await aHost(home, (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => (body += part));
    request.on("end", () => {
      const pid = Number.parseInt(String(request.headers[clientHeader]), 10);
      got.push([request.url, pid, valueOf(request.headers, homeHeader), body]);
      response.end(request.url?.endsWith("Stop") ? "" : '{"by":"host"}');
    });
  });
  const send = (event: string): Promise<unknown> =>
    program.send(event, { prompt: "ü\u2028" }, (text) => void reports.push(text));
  expect(await send("UserPromptSubmit")).toEqual({ by: "host" });
  expect(await send("Stop")).toEqual({});
  expect(got).toEqual(
    ["UserPromptSubmit", "Stop"].map((event) => [
      `/hook/opencode/${event}`,
      process.pid,
      home,
      JSON.stringify({ prompt: "ü\u2028" }),
    ]),
  );
  expect([started(), reports]).toEqual([[], []]);
});

const failing: Readonly<Record<string, readonly [RequestListener | null, waited: string]>> = {
  "that is not there": [null, ""],
  "that refuses it": [(_request, response) => response.writeHead(409).end("no"), ""],
  "whose answer breaks off": [(_request, response) => response.write("half", () => response.destroy()), ""],
  "that hangs": [() => undefined, "1"],
};

it.each(Object.entries(failing))(
  "an event for a host %s has a hook process, which knows whether the host was waited for",
  async (_kind, [answer, waited]) => {
    const { home, program, started, reports } = aHome(waited ? 5_000 : limits.eventMs);
    if (answer) await aHost(home, answer);
    expect(await program.send("Stop", {}, (text) => void reports.push(text))).toEqual({ by: "program" });
    expect(started()).toEqual([`Stop --client opencode ${waited}`]);
    expect(reports).toEqual([]);
  },
);

const isOther = ({ command }: Child): boolean => !command.includes("611");

it("a hook that hangs is ended and reported", async () => {
  aHome();
  const reports: string[] = [];
  const program = new HookProgram(["bash", "-c", "exec sleep 611"], "opencode", { ...limits, eventMs: 200 });
  expect(await program.send("Stop", {}, (message) => reports.push(message))).toEqual({});
  expect(reports).toEqual([expect.stringMatching(/^SHIM's hook did not answer at Stop: /)]);
  await untilFound(() => childrenOf(process.pid).every(isOther), "the end of the hooks");
});

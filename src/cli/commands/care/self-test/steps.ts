import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { record, type Message } from "../../../../platform/mcp-connection.ts";
import { systemProcesses } from "../../../../platform/processes.ts";
import { serviceFile, type ServiceFile } from "../../../../installer/service.ts";
import type { SelfTestBench } from "./bench.ts";

/** Its result is what was seen; it throws where SHIM would not save a chat. */
export type Step = readonly [name: string, run: (bench: SelfTestBench) => Promise<string>];

/** [IP7] Hooks last: by them a server would know this process as a client that still runs. */
export const steps: readonly Step[] = [
  ["checkpoint", saveAndRecover],
  ["hooks", answerHooks],
  ["store", checkStore],
  ["permissions", checkPermissions],
  ["processes", listProcesses],
  ["service file", writeServiceFile],
];

const prompt = "The self-test of SHIM asks for nothing.";

async function answerHooks(bench: SelfTestBench): Promise<string> {
  const started = await bench.hook("SessionStart", { source: "startup" });
  if (started !== "") record(JSON.parse(started));
  await bench.hook("UserPromptSubmit", { prompt });
  const call = { tool_name: "Read", tool_input: { file_path: join(bench.project, "a.txt") }, tool_use_id: "toolu_1" };
  await bench.hook("PreToolUse", call);
  await bench.hook("PostToolUse", { ...call, tool_response: { type: "text" }, duration_ms: 1 });
  await bench.hook("Stop", { last_assistant_message: "Done." });
  const { journal } = await bench.call("sessions.stored", { session: bench.session });
  if (!JSON.stringify(journal).includes(prompt)) throw new Error("the prompt is not in the journal");
  return `5 events answered, ${journal.length} entries stored`;
}

const work = { goal: "survive the end of this process", nextStep: `continue with step ${process.pid}` };

async function saveAndRecover(bench: SelfTestBench): Promise<string> {
  const first = await bench.server();
  await answer(bench, first, "shim_force_checkpoint", work);
  first.process.kill("SIGKILL");
  await first.ended;
  const second = await bench.server();
  const { text } = await second.callTool("shim_check_recovery", { project: bench.project });
  second.process.stdin.end();
  await second.ended;
  if (!text.includes(work.nextStep)) throw new Error(`the next process was not offered the next step: ${text}`);
  return "saved, its process killed, and offered to the next one";
}

async function answer(
  { project }: SelfTestBench,
  server: Awaited<ReturnType<SelfTestBench["server"]>>,
  tool: string,
  given: Message,
): Promise<Message> {
  const { isError, text, data } = await server.callTool(tool, { ...given, project });
  if (isError) throw new Error(`${tool}: ${text}`);
  return data;
}

async function checkStore(bench: SelfTestBench): Promise<string> {
  const { checks } = await bench.call("checks.run", { group: "store" });
  const problems = checks.filter(({ state }) => state === "fail").map(({ name, text }) => `${name}: ${text}`);
  if (problems.length > 0) throw new Error(`the store is not sound: ${problems.join("; ")}`);
  const [sqlite] = checks;
  return `sound after the kill, by ${sqlite?.text}`;
}

async function checkPermissions({ paths }: SelfTestBench): Promise<string> {
  if (process.platform === "win32") return "inherited from the user's folder";
  const wanted = { [paths.home]: 0o700, [paths.database]: 0o600 };
  for (const [path, mode] of Object.entries(wanted)) {
    const found = statSync(path).mode & 0o777;
    if (found !== mode) throw new Error(`${path} has mode ${found.toString(8)} instead of ${mode.toString(8)}`);
  }
  return "only the user can read the store";
}

/** Windows says only that a process lives [ID1]. */
async function listProcesses(bench: SelfTestBench): Promise<string> {
  const server = await bench.server();
  const facts = systemProcesses.facts(server.pid);
  server.process.kill("SIGKILL");
  await server.ended;
  if (facts === null) throw new Error("a running process was not found");
  if (systemProcesses.facts(server.pid) !== null) throw new Error("a killed process still counts as running");
  if (process.platform === "win32") return "a process is found while it runs; parent and start are not known here";
  if (facts.parent !== process.pid) throw new Error(`the parent is ${facts.parent} instead of ${process.pid}`);
  if (!/\d/.test(facts.start)) throw new Error(`the start of the process is not known: "${facts.start}"`);
  return `pid, parent and start ("${facts.start}") are known`;
}

async function writeServiceFile({ cli, folder, paths }: SelfTestBench): Promise<string> {
  const { system, textOf } = serviceFile(cli.io.machine, cli.paths.home);
  const { launch, env } = cli.io;
  const path = join(folder, serviceFiles[system]);
  writeFileSync(path, textOf({ launch, home: paths.home, path: env["PATH"] ?? "", stopSeconds: 60 }));
  const [program, ...args] = checkers[system];
  const ran = cli.io.runQuietly(program, [...args, path]);
  if (ran === null) return `written for ${system}; ${program}, which would check it, was not found`;
  if (ran.code !== 0) throw new Error(`${program} does not accept the file for ${system}: ${ran.text.trim()}`);
  return `written for ${system}, and accepted by ${program}`;
}

type System = ServiceFile["system"];

const serviceFiles: Readonly<Record<System, string>> = {
  systemd: "shim.service",
  launchd: "shim.supervisor.plist",
  "task-scheduler": "supervisor-task.xml",
};

/** The system's own programs that check such a file; each gets the path as its last word. */
const checkers: Readonly<Record<System, readonly [program: string, ...args: string[]]>> = {
  systemd: ["systemd-analyze", "--user", "verify"],
  launchd: ["plutil", "-lint"],
  "task-scheduler": [
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-Command",
    "& { param($path) [void][xml](Get-Content -Raw -LiteralPath $path) }",
  ],
};

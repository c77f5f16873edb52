import type { Command } from "commander";
import * as z from "zod";
import { Duration, Folder } from "../../contract/machine/operation.ts";
import type { Run } from "../../contract/machine/runs.ts";
import type { RunRule } from "../../contract/config.ts";
import type { Json } from "../../contract/values.ts";
import { age } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { runOperations } from "../../contract/machine/runs.ts";

const none = "No client may be started from elsewhere: `shim runs allow` allows it in this project.";

const AllowInput = z.strictObject({
  project: Folder.optional().describe("default: the working folder"),
  for: Duration.optional().describe("so long; default: until `shim runs forbid`"),
});

export function addCommand(program: Command, cli: Cli): void {
  const runs = define(cli, program, "runs", {
    operation: "runs.list",
    of: runOperations,
    isVerbatim: true,
    view: ({ projects, runs: all }) => [
      ...(projects.length === 0 ? [cli.format(none)] : []),
      ...projects.map(({ project, endsInMs }) => `${project}${endsInMs === null ? "" : `, for ${age(endsInMs)}`}`),
      ...all.map(lineOf),
    ],
  });
  define(cli, runs, "allow", {
    input: AllowInput,
    summary: "Allow phones, the page and commands to start clients in a project.",
    example: { for: 28_800_000 },
    args: ["project"],
    run: ({ project = cli.io.cwd, for: ms }) =>
      change(cli, project, [
        { project, ...(ms !== undefined && { until: new Date(cli.io.now() + ms).toISOString() }) },
      ]),
  });
  define(cli, runs, "forbid", {
    input: AllowInput.pick({ project: true }),
    summary: "Start no more clients in a project; runs that are at work go on.",
    args: ["project"],
    run: ({ project = cli.io.cwd }) => change(cli, project, []),
  });
  define(cli, runs, "start", {
    operation: "runs.start",
    of: runOperations,
    rest: "text",
    example: { session: "5f0e0e5e", text: "Go on with the tests." },
    view: ({ run, session, client, project, isContinued }) => [
      `${client} ${isContinued ? "continues" : "begins"} ${session ?? "a chat"} in ${project}, without a terminal (run ${run}). \`shim runs\` shows how it ends.`,
    ],
  });
  define(cli, runs, "stop", {
    operation: "runs.stop",
    of: runOperations,
    args: ["run"],
    view: ({ run, session }) => [
      run === null
        ? `Stop was sent to ${session ?? ""}. \`shim sessions\` shows when its turn has ended.`
        : `The run ${run} was stopped.`,
    ],
  });
}

/** Replaces the rule of a project, but for its options. */
async function change(cli: Cli, project: string, rules: readonly RunRule[]): Promise<CommandResult> {
  const setting = await cli.call("config.get", { key: "runs" });
  if (!setting.ok) return setting;
  const before = setting.value.value as unknown as readonly RunRule[];
  const args = before.find((one) => one.project === project)?.args;
  const others = before.filter((one) => one.project !== project);
  const all = [...others, ...rules.map((one) => ({ ...one, ...(args && { args }) }))];
  const changed = await cli.call("config.set", { key: "runs", value: all as unknown as Json });
  if (!changed.ok) return changed;
  const text =
    rules.length === 0 ? "No client is started from elsewhere in" : "Clients may be started from elsewhere in";
  return ok({ data: { runs: all }, text: `${text} ${project}.\n` });
}

function lineOf({ run, session, client, by, state, text, ageMs }: Run): string {
  const last = text.trim().split("\n").at(-1) ?? "";
  const words = state === "failed" ? `: ${last}` : "";
  return `${run}  ${client} ${state}, ${session?.slice(0, 8) ?? "no session yet"} (${by}, ${age(ageMs)} ago)${words}`;
}

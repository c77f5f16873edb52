import { Settings } from "../../../contract/workspaces.ts";
import { nextValue } from "../../../experiments/parameters.ts";
import type { SettingsComparison } from "../../../experiments/queue/compare-settings.ts";
import type { QueueRecord } from "../../../experiments/queue/queue-record.ts";
import { findWorkspaceParameter, workspaceParameters } from "../../../experiments/queue/workspace-parameters.ts";
import { age, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { compareQueue } from "./compare-queue.ts";
import { readQueueRecord } from "./queue-history.ts";

interface Variant {
  readonly key: keyof Settings;
  readonly from: number;
  readonly value: number;
}

interface Compared extends Variant {
  readonly comparison: SettingsComparison;
}

/** The same record has the same answer. */
const seed = 1;

/** [EX97] @param given true: one step of each setting in each direction */
export function replayWorkspace(cli: Cli, given: readonly string[] | true): Promise<CommandResult> {
  return cli.withWorkspace(async (link) => {
    const found = await link.call("settings.get", {});
    if (!found.ok) return found;
    const { settings } = found.value;
    const variants = given === true ? ok(usualVariants(settings)) : parseVariants(settings, given);
    if (!variants.ok) return variants;
    cli.progress("Reading the tasks of the workspace ...");
    const record = await readQueueRecord(link, settings.chatTtlMs);
    if (!record.ok) return record;
    const compare = compareQueue(await cli.runtime());
    const compared: Compared[] = [];
    for (const one of variants.value) {
      const other = { ...settings, [one.key]: one.value };
      compared.push({ ...one, comparison: await compare(record.value, settings, other, seed) });
    }
    const { tasks, chats, windowMs } = record.value;
    const data = { tasks: tasks.length, chats: chats.length, windowMs, variants: compared };
    return ok({ data, text: toText(cli, record.value, compared) });
  });
}

function usualVariants(settings: Settings): Variant[] {
  return workspaceParameters.flatMap((parameter) => {
    const { key } = parameter;
    const from = Number(settings[key]);
    return (["down", "up"] as const).flatMap((direction) => {
      const value = nextValue(parameter, from, direction);
      return value === null ? [] : [{ key, from, value }];
    });
  });
}

function parseVariants(settings: Settings, given: readonly string[]): CliResult<Variant[]> {
  const variants: Variant[] = [];
  for (const one of given) {
    const [name = "", text = ""] = one.split("=");
    const parameter = findWorkspaceParameter(name);
    if (!parameter) {
      const keys = workspaceParameters.map(({ key }) => `  ${key}`).join("\n");
      return wrongUsage(
        `"${name.slice(0, 60)}" is no setting of the workspace that can be replayed. These are:\n${keys}`,
      );
    }
    const { key, min } = parameter;
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!Settings.partial().safeParse({ [key]: value }).success)
      return wrongUsage(`"${one.slice(0, 80)}": ${key} has no such value. Give one such as ${key}=${min}.`);
    variants.push({ key, from: Number(settings[key]), value });
  }
  return ok(variants);
}

const verdictWords = {
  better: "better",
  worse: "worse",
  equivalent: "does not matter",
  undecided: "too few tasks to say",
} as const;

function toText(cli: Cli, { tasks, chats, windowMs }: QueueRecord, compared: readonly Compared[]): string {
  if (tasks.length === 0) return "No ended task of the workspace is kept, so there is nothing to compare.\n";
  const table = cli.table(compared, {
    SETTING: ({ key, from, value }) => `${key}: ${from} -> ${value}`,
    "WAIT NOW": ({ comparison: { outcomes } }) => seconds(outcomes.from.meanWaitMs),
    "WAIT THEN": ({ comparison: { outcomes } }) => seconds(outcomes.to.meanWaitMs),
    DEAD: ({ comparison: { outcomes } }) => `${outcomes.from.deadTasks} -> ${outcomes.to.deadTasks}`,
    "FALSELY OFFLINE": ({ comparison: { outcomes } }) =>
      `${outcomes.from.falseDepartures} -> ${outcomes.to.falseDepartures}`,
    REQUESTS: ({ comparison: { outcomes } }) => `${outcomes.from.operations} -> ${outcomes.to.operations}`,
    "AGAINST NOW": ({ comparison }) => verdictWords[comparison.verdict],
  });
  const scope = `${pluralize(tasks.length, "task")} and ${pluralize(chats.length, "chat")} of ${age(windowMs)}`;
  const none = compared.length > 0 && compared.every(({ comparison }) => comparison.verdict === "equivalent");
  const isShorterSilence = compared.some(({ key, from, value }) => key === "chatTtlMs" && value < from);
  return [
    `${scope}, run again by the shipped engine.\n\n${table}`,
    none ? "\nNone of these values makes a difference that matters here.\n" : "",
    isShorterSilence
      ? "\nSilences shorter than the present chatTtlMs are not recorded: a shorter one looks better than it is.\n"
      : "",
  ].join("");
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

import type { Command } from "commander";
import * as z from "zod";
import type { PricedTokens } from "../../../contract/machine/tokens.ts";
import type { TypeRoutes } from "../../../contract/routes.ts";
import { TaskType } from "../../../contract/tasks.ts";
import { analyzeTask } from "../../../routing/prompt-analyzer.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { declareCommand, type Given } from "../../operation-command.ts";
import { count, sourceText } from "../care/tokens.ts";
import { readTask, taskFields } from "./task-fields.ts";

const { payload, payloadFile } = taskFields;
const input = z.object({
  type: TaskType,
  payload,
  payloadFile,
  model: z.string().optional().describe("the model that reads it"),
});

export function addCommand(task: Command, cli: Cli): void {
  const summary = "The tokens, the price and the complexity of a task's payload; submits nothing.";
  const { command, read } = declareCommand(cli, task.command("estimate"), { input, summary }, { args: ["type"] });
  cli.define(command, (options: Given, ...values: unknown[]) => estimate(cli, read(options, values)));
}

/** [RT3] Estimates the payload alone, and adds what earlier tasks of the type have cost. */
async function estimate(cli: Cli, { model, ...given }: Given): Promise<CommandResult> {
  const found = await readTask(cli, given);
  if (!found.ok) return found;
  const { type, payload: value = null } = found.value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const priced = await cli.call("tokens.estimate", { text, ...omitUndefined({ model: model as string | undefined }) });
  if (!priced.ok) return priced;
  const analysis = analyzeTask(value);
  // Without an answer of the coordinator the rest is still of use.
  const asked = await cli.withWorkspace((link) => link.call("tasks.routes", { type }));
  const routes = asked.ok ? asked.value.routes : null;
  const lines = [
    tokensText(priced.value),
    priced.value.priceNote,
    `Kind ${analysis.kind ?? "unknown"}, size ${analysis.size}, complexity ${analysis.complexity} of 10, evidence ${analysis.evidence}.`,
    pastText(type, routes),
  ];
  const data = { type, model: model ?? null, estimate: priced.value, analysis, routes };
  return ok({ data, text: lines.map((line) => `${line}\n`).join("") });
}

function tokensText(estimated: PricedTokens): string {
  const { tokens, low, high, dollars } = estimated;
  const price = dollars === null ? "" : `, about $${dollars.toFixed(4)}`;
  return `The payload has about ${count(tokens)} tokens (${count(low)} to ${count(high)}, ${sourceText(estimated)})${price}.`;
}

function pastText(type: string, routes: TypeRoutes | null): string {
  const { n = 0, accepted = 0, wc = 0 } = routes?.routed ?? {};
  if (accepted === 0) return `What a task of the type ${type} costs in all is not known: none was routed and accepted.`;
  return `Measured: ${n} routed tasks of the type ${type} cost $${(wc / accepted).toFixed(4)} for each accepted one.`;
}

import type { Json } from "../../../contract/json.ts";
import type { TypeRoutes } from "../../../contract/routes.ts";
import { analyzeTask } from "../../../routing/task-analyzer.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { count, estimateText, sourceText } from "../care/tokens.ts";

/** [RT3] Estimates the payload alone, and adds what earlier tasks of the type have cost. */
export async function estimateTask(
  cli: Cli,
  type: string,
  payload: Json,
  model: string | null,
): Promise<CommandResult> {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  const estimate = await estimateText(cli, text, model);
  const analysis = analyzeTask(payload);
  const routes = await findRoutes(cli, type);
  const { tokens, low, high, dollars, priceNote } = estimate;
  const price = dollars === null ? "" : `, about $${dollars.toFixed(4)}`;
  const lines = [
    `The payload has about ${count(tokens)} tokens (${count(low)} to ${count(high)}, ${sourceText(estimate)})${price}.`,
    priceNote.trimEnd(),
    `Kind ${analysis.kind ?? "unknown"}, size ${analysis.size}, complexity ${analysis.complexity} of 10, evidence ${analysis.evidence}.`,
    pastText(type, routes),
    "Nothing was submitted.",
  ];
  const data = { type, model, estimate, analysis, routes };
  return ok({ data, text: lines.map((line) => `${line}\n`).join("") });
}

/** Returns null where the coordinator does not answer; the rest of the estimate needs none. */
async function findRoutes(cli: Cli, type: string): Promise<TypeRoutes | null> {
  let routes: TypeRoutes | null = null;
  await cli.withWorkspace(async (link) => {
    const found = await link.call("tasks.routes", { type });
    if (found.ok) ({ routes } = found.value);
    return found.ok ? ok({ data: null, text: "" }) : found;
  });
  return routes;
}

function pastText(type: string, routes: TypeRoutes | null): string {
  const { n = 0, accepted = 0, wc = 0 } = routes?.routed ?? {};
  if (accepted === 0) return `What a task of the type ${type} costs in all is not known: none was routed and accepted.`;
  return `Measured: ${n} routed tasks of the type ${type} cost $${(wc / accepted).toFixed(4)} for each accepted one.`;
}

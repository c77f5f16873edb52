import type { UsageLine } from "../../contract/machine/usage.ts";
import { ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { shownNames } from "../sessions/session-identity.ts";
import { emptyLine, sum, usageBy } from "../sessions/usage/ledger.ts";
import type { Handlers } from "../recovery/handler-context.ts";
import { estimateRange } from "../sessions/usage/tokens.ts";
import { canonicalModel } from "../../shared/model-name.ts";
import * as totals from "../../store/metric-totals.ts";
import { machineMetrics } from "./machine-metrics.ts";

export const usageHandlers = {
  async "usage.list"({ runtime }, { by, since = null }) {
    const { store, config } = await runtime();
    const lines = store.read((sql) => {
      const all = usageBy(sql, { by, since }, config.usage);
      return by === "session" ? all.map((line) => ({ ...line, ...sessionNames(sql, line.key) })) : all;
    }, []);
    const total = lines.reduce<UsageLine>(sum, emptyLine);
    return ok({ by, since, lines, total, pricesAsOf: config.usage.pricesAsOf });
  },
  /** The price is the user's own, with its date. */
  async "tokens.estimate"({ runtime }, { text, model = null }) {
    const { config } = await runtime();
    const estimate = estimateRange(text, model);
    const { prices, pricesAsOf } = config.usage;
    const known = model === null ? "" : canonicalModel(model);
    const price = Object.hasOwn(prices, known) ? (prices[known]?.input ?? null) : null;
    const dollars = price === null ? null : (estimate.tokens * price) / 1e6;
    return ok({ ...estimate, dollars, pricesAsOf, priceNote: priceNote(model, price, pricesAsOf) });
  },
  /** Each request to an edge is billed. */
  async "metrics.read"({ runtime, workspace }) {
    const opened = await workspace.open();
    if (!opened.ok) return opened;
    const sampled = opened.value.isEdge ? ok({ samples: [] }) : await opened.value.call("metrics", {});
    return sampled.ok ? ok({ samples: [...machineMetrics(await runtime()), ...sampled.value.samples] }) : sampled;
  },
  async "metrics.count-restart"({ runtime }, { reason }) {
    const { store } = await runtime();
    store.write((sql) => totals.add(sql, "shim_supervisor_restarts_total", { labels: [reason] }));
    return ok({});
  },
} satisfies Partial<Handlers>;

function sessionNames(sql: Sql, id: string | null): { readonly shortId?: string; readonly title?: string } {
  if (id === null) return {};
  const { shortId, title } = shownNames(sql, id);
  return { shortId, ...(title === null ? {} : { title }) };
}

function priceNote(model: string | null, price: number | null, asOf: string | null): string {
  if (model === null) return "No price: name the model with --model.";
  if (price === null) return `No price is set for ${model}: set it with its date in usage.prices and usage.pricesAsOf.`;
  return `By your price of $${price} for a million input tokens${asOf === null ? ", without a date (usage.pricesAsOf)" : `, as of ${asOf}`}.`;
}

import type { Readings, Risk } from "../../../contract/readings.ts";
import { ok } from "../../../shared/result.ts";
import { refresh } from "../../observe/observe.ts";
import type { ToolHandler } from "./tool.ts";

export const monitorSignals: ToolHandler<"shim_monitor_signals"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const session = entered.value;
  const { contextTokens: tokens } = input;
  const reported: Readings =
    tokens === undefined ? {} : { contextTokens: { value: tokens, source: "reported", at: runtime.now() } };
  const fresh = { ...chat.exchanges.readings(session), ...reported };
  const { risk, readings } = refresh(runtime, session, fresh);
  const reasons = risk.reasons.map(formatReason);
  return ok({
    text: `Risk ${risk.score} (${risk.level}). ${reasons.join("; ") || "No reason above its threshold."}`,
    output: {
      session: session.id,
      risk: risk.score,
      level: risk.level,
      reasons,
      ...(input.detail === "detailed" ? { readings } : {}),
    },
  });
};

export function formatReason({ name, value, threshold, weight, source }: Risk["reasons"][number]): string {
  return `${name} ${round(value)} over ${round(threshold)} (+${weight}, ${source})`;
}

function round(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 100) / 100 : Math.round(value);
}

import type { Sample } from "../contract/metrics.ts";
import type { QuarantinedMessage } from "../durable/queue-quarantine.ts";

export function quarantineSamples(messages: readonly Pick<QuarantinedMessage, "ageMs">[]): Sample[] {
  const ages = messages.map(({ ageMs }) => ageMs);
  return [
    { name: "shim_quarantined_messages", labels: {}, value: ages.length },
    ageSample("oldest", Math.max(0, ...ages)),
    ageSample("newest", ages.length === 0 ? 0 : Math.min(...ages)),
  ];
}

function ageSample(message: "oldest" | "newest", ms: number): Sample {
  return { name: "shim_quarantined_age_seconds", labels: { message }, value: ms / 1_000 };
}

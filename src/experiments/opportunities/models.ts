import { notWorse, shareInterval, type Counted } from "./exact-tests.ts";
import { byPerson, type Examined } from "./finding.ts";
import type { ModelOutcomes } from "./history.ts";

/** A lower share of accepted tasks within it makes no difference that matters. */
const margin = 0.1;
const minTasks = 50;

/** Each model of a task type against the cheaper ones. */
export function examineModels(models: readonly ModelOutcomes[]): Examined[] {
  return models.flatMap((dear) =>
    models
      .filter(({ type, costMicros }) => type === dear.type && costMicros < dear.costMicros)
      .map((cheap) => compare(cheap, dear)),
  );
}

function compare(cheap: ModelOutcomes, dear: ModelOutcomes): Examined {
  const n = Math.min(cheap.tasks, dear.tasks);
  return {
    pattern: "cheaper_model",
    subject: `${cheap.type}: ${cheap.model} for ${dear.model}`,
    n,
    minimum: minTasks,
    pValue: n === 0 ? 1 : notWorse(toCounts(cheap), toCounts(dear), margin),
    toFinding: () => {
      const { low, high } = shareInterval(cheap.accepted, cheap.tasks);
      const share = cheap.accepted / cheap.tasks;
      const figures = {
        share,
        low,
        high,
        dearShare: dear.accepted / dear.tasks,
        saved: dear.costMicros - cheap.costMicros,
      };
      return { ...byPerson(null, figures), test: "live", basis: "association" };
    },
  };
}

function toCounts({ tasks, accepted }: ModelOutcomes): Counted {
  return { n: tasks, hits: accepted };
}

import { atLeast } from "./exact-tests.ts";
import { byPerson, examineShare, type Examined } from "./finding.ts";
import type { TeamHistory } from "./history.ts";

const minChats = 3;

export function examineTeam(team: TeamHistory): Examined[] {
  return [unevenLoad(team), ...cameBack(team)];
}

/** One chat had more than twice the share that its capacity gives it. */
function unevenLoad({ chats, balancingIntervalMs }: TeamHistory): Examined {
  const able = chats.filter(({ capacity }) => capacity > 0);
  const capacity = able.reduce((sum, one) => sum + one.capacity, 0);
  const tasks = able.reduce((sum, one) => sum + one.tasks, 0);
  const tests = able.map((one) => {
    const fair = one.capacity / capacity;
    return { share: one.tasks / Math.max(1, tasks), fair, pValue: atLeast(one.tasks, tasks, Math.min(1, 2 * fair)) };
  });
  const busiest = tests.toSorted((a, b) => a.pValue - b.pValue)[0];
  return {
    pattern: "uneven_load",
    subject: "balancingIntervalMs",
    n: able.length < minChats ? 0 : tasks,
    minimum: 50,
    pValue: Math.min(1, (busiest?.pValue ?? 1) * able.length),
    toFinding: () => ({
      ...byPerson("down", { share: busiest?.share ?? 0, fair: busiest?.fair ?? 0, chats: able.length }),
      from: balancingIntervalMs,
      test: "simulation",
    }),
  };
}

function cameBack({ departures, chatTtlMs }: TeamHistory): Examined[] {
  if (departures === null) return [];
  return [
    examineShare({
      pattern: "chats_came_back",
      subject: "chatTtlMs",
      minimum: 10,
      usual: 0.2,
      n: departures.length,
      hits: departures.filter(({ isBack }) => isBack).length,
      toFinding: () => ({ ...byPerson("up", {}), from: chatTtlMs }),
    }),
  ];
}

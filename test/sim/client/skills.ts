/** What a chat takes. */
export interface Skills {
  readonly capabilities: readonly string[];
  readonly capacity: number;
  /** Undefined: it asks for itself. */
  readonly taskTypes?: readonly string[];
}

const abilities = [["gpu", "arm"], [], ["gpu"]] as const;
const capacities = [2, 1, 3, 4] as const;
const types = [["*"], ["*"], ["x", "y"], null] as const;

/** By the number of the chat, so that each of its processes is the same worker. */
export function skillsOf(place: number): Skills {
  const taskTypes = types[place % types.length];
  return {
    capabilities: abilities[place % abilities.length] ?? [],
    capacity: capacities[place % capacities.length] ?? 1,
    ...(taskTypes ? { taskTypes } : {}),
  };
}

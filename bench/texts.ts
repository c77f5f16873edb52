/** Realistic, unique content: sentences, paths and code with some repetition, as chats have. Seeded, so each run has the same. */
const words =
  "parser token stream module session checkpoint recovery branch commit failing assertion because the a of to and in function returns value when index buffer schema migration latency retry handler request response cache lock worker queue task message state update test coverage report file path line error stack trace".split(
    " ",
  );

export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // Numerical Recipes' linear congruential generator; quality does not matter here.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function sentence(random: () => number): string {
  const count = 8 + Math.floor(random() * 14);
  const picked = Array.from({ length: count }, () => words[Math.floor(random() * words.length)]);
  const id = Math.floor(random() * 1e9).toString(36);
  return random() < 0.3
    ? `src/${picked[0]}/${picked[1]}-${id}.ts:${Math.floor(random() * 900)}: const ${picked[2]} = await ${picked[3]}("${id}");`
    : `${picked.join(" ")} ${id}.`;
}

/** Lines of at most 1,500 characters, together about `bytes`. */
export function lines(bytes: number, random: () => number): string[] {
  const result: string[] = [];
  for (let left = bytes; left > 0;) {
    let line = "";
    while (line.length < Math.min(left, 1_200)) line += `${sentence(random)} `;
    result.push(line.slice(0, Math.min(left, 1_500)));
    left -= result.at(-1)?.length ?? left;
  }
  return result;
}

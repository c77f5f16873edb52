import { append, drain } from "#src/store/spool.ts";

const [folder = "", name = ""] = process.argv.slice(2);
for (let n = 0; n < 100; n++) {
  append(folder, { at: n, id: `${name}.${n}` });
  process.stdout.write(`+${name}.${n}\n`);
  if (n % 2 === 0) drain(folder, (entry) => void process.stdout.write(`-${String(entry["id"])}\n`));
}

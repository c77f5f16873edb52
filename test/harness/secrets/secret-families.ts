import { draw, drawn, pick, type Draw } from "./secret-draw.ts";

/**
 * Secrets and look-alikes made of families: a name that says secret, a notation that joins a name to its value, and an alphabet that
 * the value is drawn from. All values are drawn from a seed, so no secret stands in the repository and no rule can be fitted to one.
 */

export interface SecretCase {
  readonly family: string;
  readonly text: string;
  /** What must be gone from the redacted text. */
  readonly secrets: readonly string[];
}

type HarmlessCase = Omit<SecretCase, "secrets">;

/** Joins a name and a value. `null`: this notation cannot hold such a name. */
export type Notation = readonly [label: string, write: (name: string, value: string) => string | null];

export interface Families {
  /** Names in words, such as `db password`; each is written in several spellings. */
  readonly passwords: readonly string[];
  readonly tokens: readonly string[];
  readonly notations: readonly Notation[];
}

/** What issuers make tokens of, and how long. */
const alphabets = [
  ["base32", 16, 24, 32, 52],
  ["caps", 16, 20, 32, 40],
  ["lower", 20, 24, 32, 40],
  ["low", 16, 24, 32, 40],
  ["letters", 20, 24, 32],
  ["base62", 16, 22, 32, 43],
  ["base64", 22, 43, 86],
  ["url", 22, 32, 43],
  ["hex", 32, 40, 64],
] as const;
const tokenPatterns = [
  ...alphabets.map(([name, ...lengths]) => lengths.map((length) => `«${name} ${length}»`)),
  ["«uuid»"],
];
const ofPasswords = ["«base62 8»«!%*_+?.- 1»«base62 7»", "«lower 6»«digits 3»«!*.+ 1»", "«base62 14»", "«lower 24»"];
const passwordPatterns = ofPasswords.map((pattern) => [pattern]);

/** `db password`: snake, kebab, camel, dotted, spaced, all capitals. */
function spellings(words: string): readonly string[] {
  const parts = words.split(" ");
  const camel = parts.map((part, at) => (at === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join("");
  const title = parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1));
  const joined = ["_", "-", "."].map((sign) => parts.join(sign));
  return [...joined, camel, parts.join("_").toUpperCase(), title.join("-"), title.join(" ")];
}

/** Each name in each spelling with a few notations and alphabets. */
export function secretCases(families: Families, seed: number): SecretCase[] {
  const d = draw(seed);
  return [
    ...named(d, "password", families.passwords, passwordPatterns, families.notations),
    ...named(d, "token", families.tokens, tokenPatterns, families.notations),
  ];
}

type Alphabets = readonly (readonly string[])[];
type Words = readonly string[];

function named(d: Draw, kind: string, names: Words, patterns: Alphabets, notations: Families["notations"]) {
  const spelled = names.flatMap((words) => spellings(words).map((name) => ({ words, name })));
  return [1, 2, 3].flatMap(() =>
    spelled.map(({ words, name }): SecretCase => {
      const pattern = pick(d, pick(d, patterns));
      const secret = drawn(d, pattern);
      const { label, text } = written(d, notations, name, secret);
      return { family: `${kind} / ${words} / ${label} / ${pattern}`, text: amid(d, text), secrets: [secret] };
    }),
  );
}

function written(d: Draw, notations: readonly Notation[], name: string, value: string) {
  for (;;) {
    const [label, write] = pick(d, notations);
    const text = write(name, value);
    if (text !== null) return { label: `${label}, ${name}`, text };
  }
}

const befores = ["", "\n", "$ cat notes\n", "Here is what it printed:\n\n", "-- \n"];
const afters = ["", "\n", "\nDone in 1.2 s.\n", "\n\nThat is all.", "\nexit 0\n"];

const amid = (d: Draw, text: string): string => `${pick(d, befores)}${text}${pick(d, afters)}`;

/** A name with a value that only stands in a secret's place. */
export function placeholderCases(families: Families, values: readonly string[], seed: number): HarmlessCase[] {
  const d = draw(seed);
  return [...families.passwords, ...families.tokens].flatMap((words) =>
    values.map((value) => {
      const name = pick(d, spellings(words));
      const { label, text } = written(d, families.notations, name, value);
      return { family: `placeholder ${value} / ${label}`, text: amid(d, text) };
    }),
  );
}

type CodeLine = (name: string, other: string) => string;

export function codeCases(names: Words, lines: readonly CodeLine[], seed: number): HarmlessCase[] {
  const d = draw(seed);
  return names.flatMap((words) =>
    lines.map((line) => {
      const name = spellings(words)[pick(d, [0, 3, 3])] ?? words;
      const text = line(name, pick(d, ["user", "options", "request", "client"]));
      return { family: `code / ${text.slice(0, 40)}`, text: amid(d, text) };
    }),
  );
}

/** A plain name: one word, nothing that a shell, a header or a URL would have to quote. */
export const isPlain = (name: string): boolean => /^[\w.-]+$/.test(name);
export const isIdentifier = (name: string): boolean => /^\w+$/.test(name);
const isOption = (name: string): boolean => /^[a-z-]+$/.test(name);
export const isEnv = (name: string): boolean => /^[A-Z_]+$/.test(name);

const passwords = [
  "password, db password, passwd, admin pwd, db pw, pass phrase, key passphrase, user pass, wpa psk",
  "mysql root password, proxy pass, pass word, smtp password, ldap bind pw, vpn pass phrase, wifi psk, keystore passwd",
].flatMap((names) => names.split(", "));

const tokens = [
  "secret, token, access token, api key, access key, private key, client secret, auth token",
  "secret access key, signing secret, session token, secret key, personal access token",
  "service credential, sendgrid key, session secret, app key, refresh token, bot token, stripe secret key, vault token",
  "datadog app key, webhook signing key, consumer secret, encryption key",
].flatMap((names) => names.split(", "));

const notations: readonly Notation[] = [
  ["env", (name, value) => (isEnv(name) ? `HOST=db\n${name}=${value}\nPORT=1\n` : null)],
  ["export", (name, value) => (isEnv(name) ? `export ${name}="${value}"` : null)],
  ["command prefix", (name, value) => (isEnv(name) ? `${name}=${value} npm run deploy` : null)],
  ["yaml", (name, value) => `service:\n  ${name}: ${value}\n  port: 1\n`],
  ["quoted yaml", (name, value) => `service:\n  ${name}: '${value}'\n`],
  ["json", (name, value) => `{"host": "db", ${JSON.stringify(name)}: "${value}", "port": 1}`],
  ["json in json", (name, value) => JSON.stringify({ body: JSON.stringify({ [name]: value }) })],
  ["toml", (name, value) => (isPlain(name) ? `[service]\n${name} = "${value}"\n` : null)],
  ["properties", (name, value) => (isPlain(name) ? `a=1\n${name}=${value}\nb=2\n` : null)],
  ["ini with blanks", (name, value) => (isPlain(name) ? `[a]\n${name} = ${value}\n` : null)],
  ["header", (name, value) => (/^[A-Z][\w-]+$/.test(name) ? `Host: a\n${name}: ${value}\nAccept: */*` : null)],
  ["curl header", (name, value) => (isPlain(name) ? `curl -H "X-${name}: ${value}" https://acme.dev` : null)],
  ["option with a blank", (name, value) => (isOption(name) ? `tool --${name} ${value} --yes` : null)],
  ["option with =", (name, value) => (isOption(name) ? `tool --${name}=${value} --yes` : null)],
  ["option with one dash", (name, value) => (isOption(name) ? `java -${name} ${value} -jar a.jar` : null)],
  ["query", (name, value) => (isPlain(name) ? `GET /v1/a?b=1&${name}=${value}&c=2 200` : null)],
  ["form", (name, value) => (isPlain(name) ? `curl -d '${name}=${value}' https://acme.dev/login` : null)],
  ["python argument", (name, value) => (isIdentifier(name) ? `connect(host="db", ${name}="${value}")` : null)],
  ["javascript", (name, value) => (isIdentifier(name) ? `const ${name} = '${value}';` : null)],
  ["typescript", (name, value) => (isIdentifier(name) ? `const ${name}: string = "${value}";` : null)],
  ["object", (name, value) => (isIdentifier(name) ? `open({ ${name}: "${value}", port: 1 })` : null)],
  ["template literal", (name, value) => (isIdentifier(name) ? `${name} = \`${value}\`` : null)],
  ["go", (name, value) => (isIdentifier(name) ? `\t${name} := "${value}"` : null)],
  ["php", (name, value) => (isPlain(name) ? `  '${name}' => '${value}',` : null)],
  ["php define", (name, value) => (isEnv(name) ? `define('${name}',         '${value}');` : null)],
  ["subscript", (name, value) => (isPlain(name) ? `os.environ["${name}"] = "${value}"` : null)],
  ["xml element", (name, value) => (isPlain(name) ? `<a><${name}>${value}</${name}></a>` : null)],
  ["xml attribute", (name, value) => (isPlain(name) ? `<server host="db" ${name}="${value}"/>` : null)],
  ["property list", (name, value) => `<key>${name}</key>\n<string>${value}</string>`],
  ["name and value", (name, value) => `- name: "${name}"\n  value: ${value}\n`],
  ["dockerfile", (name, value) => (isEnv(name) ? `FROM node\nENV ${name} ${value}\nRUN true\n` : null)],
  ["fish", (name, value) => (isEnv(name) ? `set -gx ${name} ${value}` : null)],
  ["helm", (name, value) => (isPlain(name) ? `helm install a --set app.${name}=${value}` : null)],
  ["markdown", (name, value) => `- **${name}**: ${value}\n- **Port**: 1\n`],
  ["markdown code", (name, value) => `${name}: \`${value}\``],
  ["line numbers", (name, value) => (isPlain(name) ? `     1\ta=1\n     2\t${name}=${value}\n` : null)],
  ["full-width colon", (name, value) => `${name}：${value}`],
  ["ruby hash", (name, value) => (isIdentifier(name) ? `  :${name} => '${value}',` : null)],
  ["kotlin", (name, value) => (isIdentifier(name) ? `private const val ${name} = "${value}"` : null)],
  ["compose list", (name, value) => (isEnv(name) ? `    environment:\n      - ${name}=${value}\n` : null)],
  ["systemd unit", (name, value) => (isEnv(name) ? `[Service]\nEnvironment="${name}=${value}"\n` : null)],
  ["python setdefault", (name, value) => (isPlain(name) ? `os.environ.setdefault("${name}", "${value}")` : null)],
  ["list of arguments", (name, value) => (isOption(name) ? `["run", "--${name}", "${value}", "--all"]` : null)],
  ["hocon", (name, value) => (isPlain(name) ? `db {\n  ${name} = "${value}"\n}` : null)],
  ["java call", (name, value) => (isIdentifier(name) ? `config.put("${name}", "${value}");` : null)],
  ["escaped JSON", (name, value) => JSON.stringify({ log: JSON.stringify({ [name]: value, ok: true }) })],
  ["rust static", (name, value) => (isEnv(name) ? `pub static ${name}: &'static str = "${value}";` : null)],
  ["type that may be null", (name, value) => (isIdentifier(name) ? `val ${name}: Option[String]? = '${value}'` : null)],
  ["array of C", (name, value) => (isIdentifier(name) ? `static const char ${name}[] = "${value}";` : null)],
  ["braces of C++", (name, value) => (isIdentifier(name) ? `std::string ${name}{"${value}"};` : null)],
  ["raw string of C++", (name, value) => (isIdentifier(name) ? `auto ${name} = R"(${value})";` : null)],
  ["raw string of Rust", (name, value) => (isIdentifier(name) ? `let ${name} = r#"${value}"#;` : null)],
  ["prefix of Python", (name, value) => (isIdentifier(name) ? `${name} = rb'${value}'` : null)],
  ["prefix of C#", (name, value) => (isIdentifier(name) ? `string ${name} = @"${value}";` : null)],
  ["three quotes", (name, value) => (isIdentifier(name) ? `${name} = """\n${value}\n"""` : null)],
  ["lua", (name, value) => (isIdentifier(name) ? `  ${name} = [==[${value}]==],` : null)],
  ["ruby", (name, value) => (isIdentifier(name) ? `${name} = %q(${value})` : null)],
  ["ocaml", (name, value) => (isIdentifier(name) ? `let ${name} = {|${value}|}` : null)],
  ["visual basic", (name, value) => (isIdentifier(name) ? `Dim ${name} As String = "${value}"` : null)],
  ["r", (name, value) => (isIdentifier(name) ? `${name} <- "${value}"` : null)],
  ["lisp", (name, value) => (isPlain(name) ? `(defparameter *${name}* "${value}")` : null)],
  ["keyword", (name, value) => (isPlain(name) ? `{:port 25 :${name} "${value}"}` : null)],
  ["made from a string", (name, value) => (isIdentifier(name) ? `let ${name} = String::from("${value}");` : null)],
  ["ternary", (name, value) => (isIdentifier(name) ? `const ${name} = isProd ? "${value}" : other;` : null)],
  ["else", (name, value) => (isIdentifier(name) ? `${name} = other if is_prod else "${value}"` : null)],
  ["comparison", (name, value) => (isIdentifier(name) ? `if (${name} !== "${value}") return;` : null)],
  ["tag of YAML", (name, value) => `${name}: !!str ${value}\n`],
  ["block of YAML", (name, value) => `${name}: |-\n  ${value}\n`],
  [
    "code in JSON in JSON",
    (name, value) =>
      isIdentifier(name) ? JSON.stringify(JSON.stringify(`let ${name} = String::from("${value}");\n`)) : null,
  ],
  ["default of a field", (name, value) => (isIdentifier(name) ? `${name}: str = field(default="${value}")` : null)],
];

export const tuned: Families = { passwords, tokens, notations };

export const placeholders = [
  "<password>, <your-token>, ${VALUE}, $VALUE, xxxxxxxx, ********, changeme, your-secret-here",
  "process.env.VALUE, vault:secret/data/app, {{ .Values.value }}, true, example, ...",
].flatMap((names) => names.split(", "));

export const codeLines: readonly CodeLine[] = [
  (name) => `interface Options { readonly ${name}: string; readonly ${name}At?: number | null }`,
  (name) => `const ${name} = getToken();`,
  (name, other) => `const ${name} = await ${other}.read();`,
  (name) => `if (${name} === "") throw new Error("${name} is empty");`,
  (name) => `function check(${name}: string, isNew = false): boolean {`,
  (name, other) => `this.${name} = ${other}.${name};`,
  (name) => `return { ${name}, ok: true };`,
  (name) => `type ${name}Type = typeof ${name};`,
  (name, other) => `${name} = ${other}["${name}"]`,
  (name) => `const { ${name} } = this.#options;`,
  (name) => `z.object({ ${name}: z.string().min(8) })`,
  (name) => `${name}: ${name},`,
  (name) => `def rotate(self, ${name}: str | None = None) -> None:`,
  (name, other) => `assert ${other}.${name} is not None, "no ${name}"`,
  (name) => `public void set(String ${name}) { this.${name} = ${name}; }`,
  (name, other) => `let ${name} = ${other}.map(|one| one.${name}.clone());`,
  (name, other) => `${name}: ${other}.${name} ?? defaults.${name},`,
  (name) => `expect(result.${name}).toBe(undefined);`,
  (name) => `<Input value={${name}} onChange={setValue} label="${name}" />`,
  (name) => `log.info("the %s is missing", "${name}");`,
  (name) => `{ "${name}": { "type": "string", "minLength": 12 } }`,
  (name, other) => `for (const ${name} of ${other}.${name}s) check(${name});`,
  (name) => `${name} = t("login.fields.${name}")`,
  (name, other) => `const ${name} = ${other}.get("${name}", "none");`,
  (name, other) => `const ${name} = ${other}.${name} || "default";`,
  (name) => `${name}: [[Rotation of keys]] and [[Overview]]`,
  (name) => `${name} = q(userInput)`,
  (name) => `${name} = r"^[a-z0-9]{8,}$"`,
  (name) => `${name} = f"{user}:{pw}"`,
  (name) => `${name}: {"type"}`,
  (name, other) => `{${name}:'',${other}:''}`,
  (name) => `let ${name}: Option<String> = None;`,
  (name) => `${name}: str = Field(description="What opens the account.")`,
  (name) => `const ${name} = document.querySelector("#login-form input");`,
  (name) => `${name} = open("config/app2.yml")`,
  (name, other) => `(def ${name} ${other})`,
];

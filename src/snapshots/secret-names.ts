const dataSuffix = String.raw`\.(json|ya?ml|toml|ini|xml|csv|txt|conf|cfg|properties|db|enc|bak)`;

/** Each expression reads at most 255 characters: no file has a longer name. */
const secretNames: readonly RegExp[] = [
  /^\.env/,
  /(\.env|^env(?=\.))(\.(bak|old|orig|save|local|dev|development|prod|production|stag(e|ing)|test))*$/,
  /^\.dev\.vars/,
  /\.(pem|key|p8|p12|pfx|jks|jceks|bks|keystore|kdbx?|ppk|keytab|ovpn|asc|gpg|pgp|der|kubeconfig|psafe3|agekey)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)/,
  /^[._]netrc$/,
  /^\.(pgpass|my\.cnf|pypirc|git-credentials|htpasswd|dockercfg|vault[-_](token|pass(word)?)|boto|s3cfg|terraformrc)$/,
  // Data, not source: `credentials.ts` is program text.
  new RegExp(String.raw`^\.?(credentials?|secrets?)([-_][^.]*)?((\.[^.]+)?${dataSuffix})?$`),
  new RegExp(String.raw`^[^.]*[-_](credentials|secrets)((\.[^.]+)?${dataSuffix})$`),
  /^[^.]*[-_]credentials$/,
  new RegExp(String.raw`^(passwords?|passwd|api[-_]?keys?)${dataSuffix}$`),
  /^passwords?$/,
  /^(deploy|signing|private|host|ssh|service|access|master|encryption)[-_]?key$/,
  /service[-_]?account.*\.json$/,
  /(firebase[-_]?)adminsdk.*\.json$/,
  /\.tfvars(\.json)?$/,
  /\.tfstate(\..*)?$/,
  /^kubeconfig/,
  /^secring\./,
  /^wallet\.dat$/,
  /^cookies\.(txt|sqlite|json)$/,
];

const unsureNames: readonly RegExp[] = [
  /^\.(mcp|claude)\.json$/,
  /^\.yarnrc(\.yml)?$/,
  /^(settings\.local|local\.settings|appsettings(\..+)?)\.json$/,
  new RegExp(`(^|[-_.])(tokens?|keys?|secrets?|credentials?|passwords?|auth|login|account)([-_.].*)?${dataSuffix}$`),
  /^(hosts|config|admin|kubelet|controller-manager|scheduler)\.(json|ya?ml|toml|conf)$/,
];

const secretFolders = new Set([".ssh", ".gnupg", ".aws", ".kube", ".azure", ".gcloud", ".password-store"]);

export const secretName = "its name suggests that it holds a secret";

const maxNameChars = 255;

/** Matches names that are neither copied nor read. */
export function isSecretName(path: string): boolean {
  const parts = path.toLowerCase().split(/[/\\]/);
  const name = (parts.pop() ?? "").slice(-maxNameChars);
  return parts.some((part) => secretFolders.has(part)) || secretNames.some((pattern) => pattern.test(name));
}

/** Returns true when the content must decide. */
export function mayHoldSecrets(path: string): boolean {
  const name = (path.toLowerCase().split(/[/\\]/).at(-1) ?? "").slice(-maxNameChars);
  return unsureNames.some((pattern) => pattern.test(name));
}

/** Excludes a reference to the environment. */
export function hasNpmToken(content: string): boolean {
  return /(^|[:\s])(_authToken|_auth|_password|password)\s*=\s*(?!\$\{)\S/im.test(content);
}

export function isNpmSettings(path: string): boolean {
  return /(^|[/\\])\.npmrc$/i.test(path);
}

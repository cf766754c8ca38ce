const plain = /^[A-Za-z_/][\w ./@-]*$/;
const meaningful = /^(?:true|false|null|yes|no|on|off|y|n|~)$/i;

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? 'null';
  return plain.test(value) && !meaningful.test(value) && value.trim() === value ? value : JSON.stringify(value);
}

/** A value as JSON has them, in YAML. */
function yamlOf(value: unknown, indent = ''): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []';
    return value.map((item) => `\n${indent}-${itemOf(item, `${indent}  `)}`).join('');
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    if (entries.length === 0) return ' {}';
    return entries.map(([key, member]) => `\n${indent}${scalar(key)}:${yamlOf(member, `${indent}  `)}`).join('');
  }
  return ` ${scalar(value)}`;
}

function itemOf(item: unknown, indent: string): string {
  const text = yamlOf(item, indent);
  const isMap = typeof item === 'object' && item !== null && !Array.isArray(item) && text.startsWith('\n');
  return isMap ? ` ${text.slice(indent.length + 1)}` : text;
}

/** A document of it. The page writes YAML with this, as the command line does. */
export function yamlDocument(value: unknown): string {
  return `${yamlOf(value).replace(/^\n/, '')}\n`;
}

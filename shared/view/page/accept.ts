import { useEffect, useRef, useState } from 'preact/hooks';
import { endOfDay, exceptionFor, exceptionNamespace, exceptionText, isInNamespace } from '../exception-for.ts';
import { ask, Fault, type Observation, post, type Session } from './answers.ts';
import { html } from './html.ts';
import { shown } from './texts.ts';

const justifications = [
  ['', 'Not said'],
  ['risk-accepted', 'The risk is accepted'],
  ['mitigated', 'Something else mitigates it'],
  ['not-affected', 'It does not apply here'],
  ['false-positive', 'The tool is wrong'],
] as const;

const scopes = [
  ['here', 'On this workload only'],
  ['namespace', 'Everywhere in this namespace'],
] as const;

const users = [
  ['same', 'By this user'],
  ['anyone', 'By anyone'],
] as const;

interface Choice {
  readonly reason: string;
  readonly justification: string;
  readonly ticket: string;
  /** A day, as `2026-03-01`; empty for ever. */
  readonly until: string;
  readonly scope: string;
  readonly user: string;
}

/** What was said about findings, and has become nothing yet: whoever looks at another one between finds it again. */
const drafts = new Map<string, Choice>();

const prefix = 'zen.kube-zen.io/';

/** Why it is accepted, and until when: Infinity without an end; `undefined` if it isn't. */
export function acceptanceOf({ metadata: { labels, annotations } }: Observation, now: number) {
  const label = labels?.[`${prefix}accepted`];
  const until = label === 'forever' ? Number.POSITIVE_INFINITY : Number(label ?? 0) * 1000;
  return until > now ? { until, reason: annotations?.[`${prefix}accepted-reason`] ?? '' } : undefined;
}

const month = 30 * 86_400_000;

function dayIn(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString().slice(0, 10);
}

/** What is in force already, as far as the finding tells; else nothing, for a month. */
function firstChoice(found: Observation): Choice {
  const { until, reason = '' } = acceptanceOf(found, Date.now()) ?? {};
  const day = until === undefined ? dayIn(month) : Number.isFinite(until) ? dayIn(until - Date.now()) : '';
  return { reason, justification: '', ticket: '', until: day, scope: 'here', user: 'same' };
}

/** What keeps a choice from being an exception; `undefined` if nothing does. */
function faultIn({ reason, until }: Choice): string | undefined {
  if (reason.trim() === '') return 'Say why first';
  return until !== '' && Date.parse(endOfDay(until)) <= Date.now() ? 'That day is over' : undefined;
}

/** Where an exception has to be, and whether whoever looks may apply it there. */
function usePlace(found: Observation): Session | undefined {
  const [place, setPlace] = useState<Session>();
  useEffect(() => {
    const sessionIn = (namespace: string) => ask<Session>('/observations/session', new URLSearchParams({ namespace }));
    const read = async (): Promise<void> => {
      const own = await sessionIn(found.metadata.namespace);
      const { systemNamespace } = own;
      const namespace = exceptionNamespace(found, systemNamespace);
      // Who sees one namespace may not ask about another.
      const isOwn = namespace === found.metadata.namespace;
      const mayAccept = isOwn ? own.mayAccept : (await sessionIn(namespace).catch(() => undefined))?.mayAccept;
      setPlace({ ...own, mayAccept: mayAccept ?? false });
    };
    read().catch(() => undefined);
  }, [found.metadata.namespace, found.metadata.name]);
  return place;
}

async function copy(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'The browser does not allow that: select the text instead';
  }
}

interface FieldsProps {
  readonly found: Observation;
  readonly choice: Choice;
  readonly onChoice: (choice: Choice) => void;
}

function Fields({ found, choice, onChoice }: FieldsProps) {
  const set = (name: keyof Choice) => (event: Event) => {
    const { target } = event;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement)
      onChoice({ ...choice, [name]: target.value });
  };
  const options = (all: readonly (readonly [string, string])[], value: string) =>
    all.map(([word, text]) => html`<option value=${word} selected=${word === value}>${text}</option>`);
  return html`<div class="fields">
    <label class="whole">Why<input type="text" required value=${choice.reason} onInput=${set('reason')} maxlength="256" /></label>
    <label class="whole">Because<select onChange=${set('justification')}>${options(justifications, choice.justification)}</select></label>
    <label>Until the end of<input type="date" value=${choice.until} min=${dayIn(0)} onInput=${set('until')} /></label>
    <label>Ticket<input type="text" value=${choice.ticket} onInput=${set('ticket')} maxlength="253" /></label>
    <p class="hint whole" role="status">${choice.until === '' ? 'No date: for ever.' : ''}</p>
    ${isInNamespace(found) && html`<label class="whole">For<select onChange=${set('scope')}>${options(scopes, choice.scope)}</select></label>`}
    ${found.spec.actor && html`<label class="whole">Done<select onChange=${set('user')}>${options(users, choice.user)}</select></label>`}
  </div>`;
}

/** What becomes of the YAML. */
function Next({ place, yaml }: { readonly place: Session; readonly yaml: string }) {
  const { kind, config, mayAccept } = place;
  const file =
    config === undefined ? 'in a folder' : html`in <code>${shown(config)}</code>, the folder of <code>--config</code>`;
  return html`<p class="hint">${
    kind === 'local'
      ? html`To accept it, save this as a <code>.yaml</code> file ${file}${
          config === undefined ? html`, and start with <code>--config FOLDER</code>` : ': it is read by itself'
        }.`
      : html`${mayAccept ? 'Apply it here, or save' : 'To accept it, save'} this as a file, and <code>kubectl apply -f FILE</code>.`
  } ${yaml.includes('workload.kind == \\"rollout') && 'A “rollout” is a Deployment, with its ReplicaSets and Pods.'}</p>`;
}

interface FormProps {
  readonly found: Observation;
  readonly place: Session;
  /** Whether somebody has just asked for it. */
  readonly isAsked: boolean;
  readonly onClose: () => void;
}

function Form({ found, place, isAsked, onClose }: FormProps) {
  const key = `${found.metadata.namespace}/${found.metadata.name}`;
  const [choice, setChoice] = useState(() => drafts.get(key) ?? firstChoice(found));
  const [said, setSaid] = useState('');
  const form = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isAsked) form.current?.querySelector('input')?.focus();
  }, []);
  const { systemNamespace, mayAccept } = place;
  const options = {
    ...choice,
    until: choice.until === '' ? undefined : endOfDay(choice.until),
    isForNamespace: choice.scope === 'namespace',
    isByAnyone: choice.user === 'anyone',
    systemNamespace,
  };
  const yaml = exceptionText(found, options);
  async function apply(): Promise<string> {
    const namespace = exceptionNamespace(found, systemNamespace);
    try {
      await post(`/observations/exceptions?${new URLSearchParams({ namespace })}`, exceptionFor(found, options));
      drafts.delete(key);
      return 'Applied: it takes effect within a minute';
    } catch (error) {
      return error instanceof Fault ? `${error.message}${error.path ? `: ${error.path}` : ''}` : String(error);
    }
  }
  const unlessFaulty = (act: () => Promise<string>) => async () => setSaid(faultIn(choice) ?? (await act()));
  const onKeyDown = (event: KeyboardEvent): void => {
    const { key, target } = event;
    if (key === 'Escape' && target instanceof HTMLInputElement && target.value === '') onClose();
  };
  return html`<div class="accept" ref=${form} onKeyDown=${onKeyDown}>
    <p class="hint">An exception says why this is accepted, and until when. It deletes nothing, and ends by itself.</p>
    <${Fields} found=${found} choice=${choice} onChoice=${(next: Choice) => {
      drafts.set(key, next);
      setChoice(next);
      setSaid('');
    }} />
    <pre tabindex="0" aria-label="The exception as YAML">${shown(yaml)}</pre>
    <${Next} place=${place} yaml=${yaml} />
    <div class="buttons">
      ${mayAccept && html`<button type="button" class="main" onClick=${unlessFaulty(apply)}>Apply</button>`}
      <button type="button" onClick=${unlessFaulty(() => copy(yaml))}>Copy YAML</button>
      <span role="status">${shown(said)}</span>
    </div></div>`;
}

/** A button, and below it what it opens: it is open at once where something was written before. */
export function Accept({ found }: { readonly found: Observation }) {
  const [isOpen, setIsOpen] = useState(() => drafts.has(`${found.metadata.namespace}/${found.metadata.name}`));
  const [isAsked, setIsAsked] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const place = usePlace(found);
  const close = (): void => {
    setIsOpen(false);
    button.current?.focus();
  };
  const toggle = (): void => {
    setIsAsked(true);
    setIsOpen(!isOpen);
  };
  return html`<p class="actions"><button type="button" ref=${button} aria-expanded=${isOpen} onClick=${toggle}>Accept</button></p>
    ${isOpen && place && html`<${Form} found=${found} place=${place} isAsked=${isAsked} onClose=${close} />`}`;
}

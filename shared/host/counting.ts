import { ingesters } from '../api/ingester.ts';
import { operationsCategory } from '../api/observation.ts';
import { observationExceptions } from '../api/observation-exception.ts';
import { observationFilters } from '../api/observation-filter.ts';
import { observationMappings } from '../api/observation-mapping.ts';
import { type FunctionDefinition, writesObservations } from '../function/definitions.ts';
import { announcementOutcomes } from '../function/tally.ts';
import { kindsIn, type Trigger } from '../function/triggers.ts';
import type { BoundFunction } from './context.ts';
import { isSource } from './function-list.ts';
import type { Counting } from './metric-zeros.ts';

/** The kinds whose objects may have expressions. */
const withExpressions = [observationFilters, observationExceptions, observationMappings, ingesters].map(
  ({ kind }) => kind,
);

/** The categories of the tools' findings; a mapping may give others, whose series begin when they are first counted. */
const toolCategories = ['security', 'compliance'];

function categoriesOf(definition: FunctionDefinition, takesMappedKinds: boolean): readonly string[] {
  if (isSource(definition) || takesMappedKinds) return [...toolCategories, operationsCategory];
  return writesObservations(definition) ? [operationsCategory] : [];
}

/** Whether it tells others what has changed. */
export function isTelling(definition: FunctionDefinition): boolean {
  return definition.kind === 'sink' || (definition.kind === 'task' && definition.announces === true);
}

/** What a function will count, by what it declares. */
export function countingOf({ definition, triggers, context }: BoundFunction): Counting {
  const isGateway = definition.kind === 'gateway';
  const names = context.functions.map(({ name }) => name);
  const paths = context.functions.flatMap(({ webhooks }) => webhooks.map(({ path }) => path));
  const watched = definition.watches?.(Object.assign({}, context.settings)) ?? [];
  const has = (type: Trigger['type']): boolean => triggers.some((trigger) => trigger.type === type);
  const isCollector = definition.kind === 'task' && definition.collects === true;
  return {
    name: definition.name,
    endpoints: isGateway ? paths : ['/'],
    isGateway,
    categories: categoriesOf(definition, has('MappedKinds')),
    hasState: has('MappedKinds') || (isSource(definition) && kindsIn(triggers).length > 0),
    usesFilters: watched.some(({ plural }) => plural === observationFilters.plural),
    expressionKinds: watched.filter(({ kind }) => withExpressions.includes(kind)).map(({ kind }) => kind),
    isScheduled: has('PingSource'),
    deadLettersOf: definition.kind === 'dead-letter-sink' ? [...names, 'other'] : [],
    announces: isTelling(definition) ? announcementOutcomes : [],
    collects: isCollector ? names : [],
  };
}

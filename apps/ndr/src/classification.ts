/** What other apps that train classifiers of sentences use. */

export {
  accuracyOf,
  CLASSIFIERS,
  type ClassificationConfig,
  type ClassificationData,
  type Classifier,
  classificationSettings,
  createClassifier,
  type Evaluated,
  evaluate,
  onSentences,
  settingsOf,
  type TrainedClassifier,
  trainClassifier,
} from './classification-training.ts';
export { type HeatMap, heatMapPicture } from './heat-map-picture.ts';
export { recordRouting } from './routing-record.ts';

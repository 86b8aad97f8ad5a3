"""Captions in other languages, for the flaw that a language filter must find.

Ten noun phrases per language in the nominative, and three sentences into which they fit unchanged.
"""

import numpy as np

_PHRASES = {
    "de": "ein großer roter Regenschirm; ein kleiner blauer Hund; eine schwarze Katze; ein gelbes Auto; "
    "eine grüne Flasche; ein rosafarbenes Herz; ein altes Fahrrad; eine kleine Glocke; "
    "ein weißer Schneemann; ein hoher Baum",
    "fr": "un grand parapluie rouge; un petit chien bleu; un chat noir; une voiture jaune; "
    "une bouteille verte; un cœur rose; un vieux vélo; une petite cloche; un bonhomme de neige; "
    "un grand arbre",
    "es": "un gran paraguas rojo; un perro pequeño y azul; un gato negro; un coche amarillo; "
    "una botella verde; un corazón rosado; una bicicleta vieja; una campana pequeña; un muñeco de nieve; "
    "un árbol muy alto",
    "it": "un grande ombrello rosso; un piccolo cane blu; un gatto nero; una macchina gialla; "
    "una bottiglia verde; un cuore rosa; una vecchia bicicletta; una piccola campana; un pupazzo di neve; "
    "un albero molto alto",
    "pt": "um grande guarda-chuva vermelho; um pequeno cachorro azul; um gato preto; um carro amarelo; "
    "uma garrafa verde; um coração cor-de-rosa; uma bicicleta velha; um sino pequeno; um boneco de neve; "
    "uma árvore muito alta",
    "nl": "een grote rode paraplu; een kleine blauwe hond; een zwarte kat; een gele auto; een groene fles; "
    "een roze hart; een oude fiets; een kleine bel; een witte sneeuwpop; een hoge boom",
    "pl": "duży czerwony parasol; mały niebieski pies; czarny kot; żółty samochód; zielona butelka; "
    "różowe serce; stary rower; mały dzwonek; biały bałwan; wysokie drzewo",
    "ru": "большой красный зонт; маленькая синяя собака; чёрная кошка; жёлтая машина; зелёная бутылка; "
    "розовое сердце; старый велосипед; маленький колокольчик; белый снеговик; высокое дерево",
    "sv": "ett stort rött paraply; en liten blå hund; en svart katt; en gul bil; en grön flaska; "
    "ett rosa hjärta; en gammal cykel; en liten klocka; en vit snögubbe; ett högt träd",
    "tr": "büyük kırmızı bir şemsiye; küçük mavi bir köpek; siyah bir kedi; sarı bir araba; yeşil bir şişe; "
    "pembe bir kalp; eski bir bisiklet; küçük bir çan; beyaz bir kardan adam; uzun bir ağaç",
}
_SENTENCES = {
    "de": "Auf dem Bild sind {a} und {b} zu sehen; {a}, {b} und daneben noch {c}; Hier sind {a}, {b} und {c}",
    "fr": "Sur cette image on voit {a} et {b}; {a}, {b} et aussi {c}; Voici {a} à côté, puis {b} et {c}",
    "es": "En esta imagen se ven {a} y también {b}; {a}, {b} y además {c}; Aquí hay {a}, {b} y también {c}",
    "it": "In questa immagine si vedono {a} e anche {b}; {a}, {b} e anche {c}; Ecco qui {a}, {b} e poi {c}",
    "pt": "Nesta imagem vemos {a} e também {b}; {a}, {b} e ainda {c}; Aqui estão {a}, {b} e também {c}",
    "nl": "Op deze afbeelding zie je {a} en {b}; {a}, {b} en ook nog {c}; Hier staan {a}, {b} en ook {c}",
    "pl": "Na tym obrazku znajduje się {a} oraz {b}; {a}, {b} i jeszcze {c}; Tutaj jest {a}, {b} i też {c}",
    "ru": "На этой картинке изображены {a} и {b}; {a}, {b} и ещё {c}; Здесь нарисованы {a}, {b} и {c}",
    "sv": "På den här bilden syns {a} och {b}; {a}, {b} och dessutom {c}; Här finns {a} och {b} samt {c}",
    "tr": "Bu resimde {a} ve {b} görülüyor; {a}, {b} ve ayrıca {c}; Burada {a}, {b} ve bir de {c} var",
}
LANGUAGES = tuple(_PHRASES)


def foreign_caption(rng: np.random.Generator) -> tuple[str, str]:
    """Draw a sentence about two or three things; returns it with the code of its language."""
    language = LANGUAGES[rng.integers(len(LANGUAGES))]
    phrases, sentences = _PHRASES[language].split("; "), _SENTENCES[language].split("; ")
    a, b, c = (phrases[place] for place in rng.choice(len(phrases), size=3, replace=False))
    return sentences[rng.integers(len(sentences))].format(a=a, b=b, c=c), language

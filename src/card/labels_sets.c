/* labels_sets.c - the class names of the smaller well-known data sets. */
/* clang-format off */
#include "card/card.h"

/* COCO without the gaps in its category numbers, in the spelling of
   Darknet, which YOLO-like networks keep. */
const char oc__labels_coco80[] =
    "person\nbicycle\ncar\nmotorbike\naeroplane\nbus\ntrain\ntruck\nboat\n"
    "traffic light\nfire hydrant\nstop sign\nparking meter\nbench\nbird\ncat\n"
    "dog\nhorse\nsheep\ncow\nelephant\nbear\nzebra\ngiraffe\nbackpack\n"
    "umbrella\nhandbag\ntie\nsuitcase\nfrisbee\nskis\nsnowboard\nsports ball\n"
    "kite\nbaseball bat\nbaseball glove\nskateboard\nsurfboard\n"
    "tennis racket\nbottle\nwine glass\ncup\nfork\nknife\nspoon\nbowl\n"
    "banana\napple\nsandwich\norange\nbroccoli\ncarrot\nhot dog\npizza\n"
    "donut\ncake\nchair\nsofa\npottedplant\nbed\ndiningtable\ntoilet\n"
    "tvmonitor\nlaptop\nmouse\nremote\nkeyboard\ncell phone\nmicrowave\noven\n"
    "toaster\nsink\nrefrigerator\nbook\nclock\nvase\nscissors\nteddy bear\n"
    "hair drier\ntoothbrush\n";

/* COCO by category number from 1 to 90; "n/a" where COCO has none. */
const char oc__labels_coco90[] =
    "person\nbicycle\ncar\nmotorcycle\nairplane\nbus\ntrain\ntruck\nboat\n"
    "traffic light\nfire hydrant\nn/a\nstop sign\nparking meter\nbench\nbird\n"
    "cat\ndog\nhorse\nsheep\ncow\nelephant\nbear\nzebra\ngiraffe\nn/a\n"
    "backpack\numbrella\nn/a\nn/a\nhandbag\ntie\nsuitcase\nfrisbee\nskis\n"
    "snowboard\nsports ball\nkite\nbaseball bat\nbaseball glove\nskateboard\n"
    "surfboard\ntennis racket\nbottle\nn/a\nwine glass\ncup\nfork\nknife\n"
    "spoon\nbowl\nbanana\napple\nsandwich\norange\nbroccoli\ncarrot\nhot dog\n"
    "pizza\ndonut\ncake\nchair\ncouch\npotted plant\nbed\nn/a\ndining table\n"
    "n/a\nn/a\ntoilet\nn/a\ntv\nlaptop\nmouse\nremote\nkeyboard\ncell phone\n"
    "microwave\noven\ntoaster\nsink\nrefrigerator\nn/a\nbook\nclock\nvase\n"
    "scissors\nteddy bear\nhair drier\ntoothbrush\n";

/* Pascal VOC. */
const char oc__labels_voc20[] =
    "aeroplane\nbicycle\nbird\nboat\nbottle\nbus\ncar\ncat\nchair\ncow\n"
    "diningtable\ndog\nhorse\nmotorbike\nperson\npottedplant\nsheep\nsofa\n"
    "train\ntvmonitor\n";

/* CamVid in the 12 classes of SegNet. */
const char oc__labels_camvid[] =
    "sky\nbuilding\npole\nroad\nsidewalk\ntree\nsign\nfence\ncar\npedestrian\n"
    "bicyclist\nunlabelled\n";

/* CIFAR-10. */
const char oc__labels_cifar10[] =
    "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";

/* MNIST. */
const char oc__labels_digits[] =
    "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n";
